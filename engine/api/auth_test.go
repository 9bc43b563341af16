package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"pannier/engine/api"
)

const (
	subscriptionBody = `{"url":"https://city.example/hooks","topics":["trip.*"],"tenant":"nantes"}`
	eventBody        = `{"topic":"trip.created","data":{"trip_id":"1"}}`
)

// operations is every path and method of the contract, with who may use it and what it
// answers when all is well.
var operations = []struct {
	method, target, body string
	roles                string // of a key that is enough
	status               int
}{
	{"POST", "/v1/subscriptions", subscriptionBody, "admin subscriber", 201},
	{"GET", "/v1/subscriptions", "", "admin subscriber viewer", 200},
	{"GET", "/v1/subscriptions/sub_1", "", "admin subscriber viewer", 200},
	{"PATCH", "/v1/subscriptions/sub_1", `{"enabled":false}`, "admin subscriber", 200},
	{"DELETE", "/v1/subscriptions/sub_1", "", "admin subscriber", 204},
	{"POST", "/v1/subscriptions/sub_1/secret/rotate", `{"grace":"1h"}`, "admin subscriber", 200},
	{"POST", "/v1/subscriptions/sub_1/test", "", "admin subscriber", 202},
	{"POST", "/v1/subscriptions/sub_1/replay", `{"state":"all"}`, "admin subscriber", 202},
	{"GET", "/v1/subscriptions/sub_1/deliveries", "", "admin subscriber viewer", 200},
	{"GET", "/v1/subscriptions/sub_1/events", "", "admin subscriber viewer", 200},
	{"POST", "/v1/events", eventBody, "admin publisher", 202},
	{"GET", "/v1/events", "", "admin subscriber viewer", 200},
	{"GET", "/v1/events/evt_1", "", "admin subscriber viewer", 200},
	{"GET", "/v1/events/evt_1/deliveries", "", "admin subscriber viewer", 200},
	{"GET", "/v1/deliveries/dlv_1", "", "admin subscriber viewer", 200},
	{"GET", "/v1/deliveries/dlv_1/attempts", "", "admin subscriber viewer", 200},
	{"POST", "/v1/deliveries/dlv_1/retry", "", "admin subscriber", 202},
	{"POST", "/v1/keys", `{"role":"viewer"}`, "admin", 201},
	{"GET", "/v1/keys", "", "admin", 200},
	{"DELETE", "/v1/keys/key_1", "", "admin", 204},
	{"GET", "/v1/cluster", "", "admin viewer", 200},
	{"GET", "/v1/lanes", "", "admin viewer", 200},
	{"GET", "/v1/stats", "", "admin viewer", 200},
	{"GET", "/metrics", "", "admin viewer", 200},
	{"GET", "/docs", "", "admin viewer", 200},
	{"GET", "/openapi.json", "", "admin viewer", 200},
	{"GET", "/healthz", "", "", 200},
	{"GET", "/readyz", "", "", 200},
}

// serverWithSubscription has sub_1 of tenant nantes.
func serverWithSubscription(t *testing.T) (*api.Server, *twin) {
	t.Helper()
	twin := newTwin()
	s := newServer(twin)
	if w := ask(t, s, "POST", "/v1/subscriptions", "admin-key", subscriptionBody); w.Code != 201 {
		t.Fatalf("make a subscription: %d %s", w.Code, w.Body)
	}
	return s, twin
}

func TestEveryRoleAtEveryOperation(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, role := range []string{"admin", "publisher", "subscriber", "viewer", "nobody", "stranger"} {
			t.Run(op.method+" "+op.target+" "+role, func(t *testing.T) {
				t.Parallel()
				s, twin := serverWithSubscription(t)
				key := role + "-key"
				want := http.StatusForbidden
				switch {
				case op.roles == "" || slices.Contains(strings.Fields(op.roles), role):
					want = op.status
				case role == "nobody":
					want, key = http.StatusUnauthorized, ""
				case role == "stranger":
					want = http.StatusUnauthorized
				}
				w := ask(t, s, op.method, op.target, key, op.body)
				if w.Code != want {
					t.Fatalf("got %d %s, want %d", w.Code, w.Body, want)
				}
				if challenge := w.Header().Get("Www-Authenticate"); (challenge != "") != (want == 401) {
					t.Errorf("got WWW-Authenticate %q with %d", challenge, want)
				}
				if want >= 400 {
					problemOf(t, w)
					if len(twin.accepted) > 0 || len(twin.apiKeys) > 0 {
						t.Error("something was stored")
					}
				}
			})
		}
	}
}

func TestDevelopmentModeAsksForNoKey(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		s, twin := serverWithSubscription(t)
		twin.development = true
		if w := ask(t, s, op.method, op.target, "", op.body); w.Code != op.status {
			t.Errorf("%s %s: got %d %s, want %d", op.method, op.target, w.Code, w.Body, op.status)
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	tests := []struct {
		name   string
		values []string
		status int
	}{
		{"bearer", []string{"Bearer admin-key"}, 200},
		{"scheme in lower case", []string{"bearer admin-key"}, 200},
		{"other scheme", []string{"Basic admin-key"}, 401},
		{"no scheme", []string{"admin-key"}, 401},
		{"no key", []string{"Bearer "}, 401},
		{"twice", []string{"Bearer admin-key", "Bearer admin-key"}, 401},
		{"longest", []string{"Bearer " + strings.Repeat("k", 256)}, 401},
		{"too long", []string{"Bearer " + strings.Repeat("k", 257)}, 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/v1/stats", nil)
			r.Header["Authorization"] = test.values
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("got %d, want %d", w.Code, test.status)
			}
		})
	}
	if w := ask(t, s, "GET", "/v1/stats?api_key=admin-key", "", ""); w.Code != 401 {
		t.Errorf("a key in the query: got %d, want 401", w.Code)
	}
}

// unread fails the test when a body is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read before the key was checked")
	return 0, http.ErrBodyReadAfterClose
}

func TestKeyIsCheckedBeforeTheBody(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	for _, target := range []string{"/v1/events", "/v1/subscriptions", "/v1/keys"} {
		r := httptest.NewRequest("POST", target, unread{t})
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%s: got %d, want 401", target, w.Code)
		}
	}
}

func TestOpsHandlerAsksForNoKey(t *testing.T) {
	t.Parallel()
	s := newServer(newTwin())
	for target, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/docs": 200, "/openapi.json": 200,
		"/v1/stats": 404, "/v1/events": 404,
	} {
		w := httptest.NewRecorder()
		s.OpsHandler().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", target, w.Code, want)
		}
	}
}
