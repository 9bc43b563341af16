package fault

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pannier/bench/history"
)

// attempt posts to a site as the server would.
func attempt(t *testing.T, url string, number int) (status int, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"data":{"ref":"r"}}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Webhook-Id", "evt_1")
	request.Header.Set("Webhook-Attempt", strconv.Itoa(number))
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

func openTestSites(t *testing.T) (*sites, *history.Log) {
	t.Helper()
	log, err := history.Create("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSites(t.Context(), log, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, log
}

func TestSiteNotesEachAttempt(t *testing.T) {
	t.Parallel()
	s, log := openTestSites(t)
	url := s.endpoint(siteGood, "all")
	if status, err := attempt(t, url, 3); err != nil || status != http.StatusOK {
		t.Fatalf("attempt = %d, %v", status, err)
	}
	s.close() // the handler has ended
	records := log.Records()
	if len(records) != 1 || records[0].Attempt == nil {
		t.Fatalf("records = %+v, want one attempt", records)
	}
	a := records[0].Attempt
	if a.Name != "all" || a.Number != 3 || a.WebhookID != "evt_1" || !a.Success() || a.Ended < a.Started {
		t.Errorf("attempt = %+v", a)
	}
}

func TestSiteThatIsDownResets(t *testing.T) {
	t.Parallel()
	s, log := openTestSites(t)
	url := s.endpoint(siteGood, "all")
	s.byKind[siteGood].down.Store(true)
	if status, err := attempt(t, url, 1); err == nil {
		t.Errorf("a site that is down answered %d", status)
	}
	s.close()
	for _, r := range log.Records() {
		if r.Attempt != nil && r.Attempt.Success() {
			t.Errorf("noted a success: %+v", r.Attempt)
		}
	}
}

// A kill must not change what a receiver would have answered, and the next attempt may be
// answered otherwise.
func TestBehaviourDependsOnTheAttemptAlone(t *testing.T) {
	t.Parallel()
	s, _ := openTestSites(t)
	flaky := s.byKind[siteFlaky]
	seen := make(map[int]bool)
	for number := range 200 {
		a := &history.Attempt{Name: "x", WebhookID: "evt_1", Number: number}
		first, second := flaky.behave(a), flaky.behave(a)
		if first != second {
			t.Fatalf("attempt %d is answered %+v, then %+v", number, first, second)
		}
		seen[first.status] = true
	}
	for _, status := range []int{http.StatusOK, http.StatusFound, http.StatusInternalServerError, http.StatusServiceUnavailable, 0} {
		if !seen[status] {
			t.Errorf("200 attempts were never answered %d", status)
		}
	}
	poison := s.byKind[sitePoison]
	dead := 0
	for n := range 1000 {
		a := &history.Attempt{Name: "x", WebhookID: strconv.Itoa(n), Number: 1}
		b := &history.Attempt{Name: "x", WebhookID: strconv.Itoa(n), Number: 2}
		if poison.behave(a).status != poison.behave(b).status {
			t.Fatalf("event %d is taken at one attempt and not at the other", n)
		}
		if poison.behave(a).status >= http.StatusBadRequest {
			dead++
		}
	}
	if dead == 0 || dead > 200 {
		t.Errorf("%d of 1000 events are never taken, want some", dead)
	}
}
