package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pannier/cluster"
	"pannier/engine"
)

// testCluster is three members in this process, on disks, sockets and ports of their own.
type testCluster struct {
	t       *testing.T
	members []*testServer
}

// startTestCluster starts members that answer events once two of them have a copy. change may be
// nil.
func startTestCluster(t *testing.T, members int, change func(*Config)) *testCluster {
	t.Helper()
	key := writeFile(t, "key", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", clusterKeyBytes))))
	var binds []string
	for range members {
		binds = append(binds, freePort(t))
	}
	c := &testCluster{t: t}
	for n := range members {
		c.members = append(c.members, startTestServer(t, func(cfg *Config) {
			cfg.clusterFlags = clusterFlags{
				Bind: binds[n], RPC: "127.0.0.1:0", Join: binds, Replication: 2, ClusterKey: key,
			}
			if change != nil {
				change(cfg)
			}
		}))
	}
	c.awaitActive(members)
	return c
}

// nextPort is below the ports that the system gives out: nobody takes one while its member is
// stopped.
var nextPort atomic.Int32

// freePort finds an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 21000+nextPort.Add(1))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// awaitActive waits until every running member sees n active ones, and everything has its copies.
func (c *testCluster) awaitActive(n int) {
	c.t.Helper()
	for _, m := range c.members {
		if m.server == nil {
			continue
		}
		var view struct {
			UnderReplicated int `json:"under_replicated"`
			Members         []memberRow
		}
		err := eventually(func() bool {
			m.get(&view, "cluster")
			active := 0
			for _, member := range view.Members {
				if member.State == "active" {
					active++
				}
			}
			return active == n && (view.UnderReplicated == 0 || n < 2)
		})
		if err != nil {
			c.t.Fatalf("the cluster is %+v, want %d active members", view, n)
		}
	}
}

// TestClusterIsOneEngine: what is made at one member is in force at all of them at once, and any
// member answers any call.
func TestClusterIsOneEngine(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, func(cfg *Config) { cfg.AdminKey = strings.Repeat("a", 32) })
	receiver := newTestReceiver(t, nil)
	var subs []string
	for n := range 6 { // of whom every member owns some, most likely
		id, _ := c.members[n%3].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
		subs = append(subs, id)
	}
	var events []string
	for n := range 9 {
		events = append(events, c.members[n%3].send("trip.created", fmt.Sprint(n)))
	}
	receiver.await(len(subs) * len(events))
	for n, m := range c.members {
		for _, id := range subs {
			for _, event := range events {
				m.awaitState(id, event, "delivered")
			}
			var listed page[testDelivery]
			if m.get(&listed, "subscriptions", id, "deliveries"); len(listed.Data) != len(events) {
				t.Errorf("member %d lists %d deliveries of %s, want %d", n, len(listed.Data), id, len(events))
			}
		}
		var listed page[struct{ ID string }]
		if m.get(&listed, "events"); len(listed.Data) != len(events) {
			t.Errorf("member %d lists %d events, want %d", n, len(listed.Data), len(events))
		}
		var stats struct{ Accepted, Delivered, Pending int }
		m.get(&stats, "stats")
		if stats.Accepted != len(events) || stats.Delivered != len(subs)*len(events) || stats.Pending != 0 {
			t.Errorf("member %d counts %+v", n, stats)
		}
	}
	c.members[1].call(call{method: http.MethodDelete, path: pathOf("subscriptions", subs[0])}, nil)
	c.members[2].send("trip.created", "0")
	receiver.await(len(subs)*len(events) + len(subs) - 1)
	if got, want := len(receiver.got()), len(subs)*len(events)+len(subs)-1; got != want {
		t.Errorf("after the deletion of one subscription %d requests arrived, want %d", got, want)
	}
}

// TestGivenIDsAndKeysHoldInTheWholeCluster: an id is one event and an API key one caller, at
// whatever member.
func TestGivenIDsAndKeysHoldInTheWholeCluster(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, func(cfg *Config) { cfg.AdminKey = strings.Repeat("a", 32) })
	authorization := []string{"Authorization", "Bearer " + strings.Repeat("a", 32)}
	for n, m := range c.members {
		status, header, answer := m.raw(`{"id":"mine","topic":"trip.created","data":1}`, "application/json", authorization...)
		if status != http.StatusAccepted || (header.Get("Idempotency-Replayed") == "true") != (n > 0) {
			t.Errorf("member %d: %d %v %s", n, status, header, answer)
		}
		if status, _, _ := m.raw(`{"id":"mine","topic":"trip.created","data":2}`, "application/json", authorization...); status != http.StatusConflict {
			t.Errorf("member %d: another event of the same id: %d, want 409", n, status)
		}
		status, header, answer = m.raw(`{"topic":"trip.created","data":3}`, "application/json", append(authorization, "Idempotency-Key", "once")...)
		if status != http.StatusAccepted || (header.Get("Idempotency-Replayed") == "true") != (n > 0) {
			t.Errorf("member %d, with an Idempotency-Key: %d %v %s", n, status, header, answer)
		}
	}
	var made struct{ ID, Key string }
	c.members[0].call(call{method: http.MethodPost, path: pathOf("keys"), body: []byte(`{"role":"publisher"}`)}, &made)
	post := func(m *testServer) int {
		status, _, _ := m.raw(`{"topic":"trip.created","data":4}`, "application/json", "Authorization", "Bearer "+made.Key)
		return status
	}
	for n, m := range c.members {
		if got := post(m); got != http.StatusAccepted {
			t.Errorf("member %d, with a key made at another: %d, want 202", n, got)
		}
	}
	c.members[1].call(call{method: http.MethodDelete, path: pathOf("keys", made.ID)}, nil)
	for n, m := range c.members {
		if got := post(m); got != http.StatusUnauthorized {
			t.Errorf("member %d, with a key that was revoked at another: %d, want 401", n, got)
		}
	}
}

// TestClusterDrains: a member that is stopped hands on what it has, nothing is lost or repeated,
// and what it missed is there when it comes back.
func TestClusterDrains(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	subs := make([]string, 6)
	for n := range subs {
		subs[n], _ = c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	}
	want := 0
	for n := range 300 {
		c.members[n%3].send("trip.created", "1")
		want += len(subs)
	}
	c.members[2].stop()
	c.awaitActive(2)
	gone, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.terminated")
	c.members[1].call(call{method: http.MethodDelete, path: pathOf("subscriptions", subs[0])}, nil)
	c.members[2].start()
	c.awaitActive(3)
	receiver.await(want)
	c.members[2].send("trip.terminated", "1")
	c.members[2].send("trip.created", "1")
	receiver.await(want + len(subs))
	if got := len(receiver.got()); got != want+len(subs) {
		t.Errorf("%d requests arrived, want %d: something was repeated", got, want+len(subs))
	}
	var view struct{ ID string }
	c.members[2].get(&view, "subscriptions", gone)
	c.awaitTotals(302)
}

// awaitTotals waits until every running member counts so many accepted events, and none pending:
// the counts of journals go with whoever keeps them.
func (c *testCluster) awaitTotals(accepted int) {
	c.t.Helper()
	for n, m := range c.members {
		if m.server == nil {
			continue
		}
		var stats struct{ Accepted, Pending int }
		err := eventually(func() bool {
			m.get(&stats, "stats")
			return stats.Accepted == accepted && stats.Pending == 0
		})
		if err != nil {
			c.t.Errorf("member %d counts %+v, want %d accepted and none pending", n, stats, accepted)
		}
	}
}

// TestReplayGoesOnWithTheNextOwner: the member that carries a replay out is stopped in the middle
// of it.
func TestReplayGoesOnWithTheNextOwner(t *testing.T) {
	t.Parallel()
	const events = 30
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	id, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	for range events {
		c.members[0].send("trip.created", "1")
	}
	receiver.await(events)
	order := []byte(`{"state": "all", "rate_per_second": 10}`)
	c.members[0].call(call{method: http.MethodPost, path: pathOf("subscriptions", id, "replay"), body: order}, nil)
	receiver.await(events + 3)
	owner := c.members[0].server.member.cluster.Owner(engine.SubscriptionID(id))
	at := slices.IndexFunc(c.members, func(m *testServer) bool { return m.server.member.folder.Member() == owner })
	c.members[at].stop()
	receiver.await(2 * events)
	if got := len(receiver.got()); got > 2*events+1 {
		t.Errorf("%d requests arrived, want %d, and one more where the end of the first part was not known", got, 2*events)
	}
}

// TestTooFewMembersRefuseEvents: an event that cannot have its copies is refused, unless the
// operator said otherwise.
func TestTooFewMembersRefuseEvents(t *testing.T) {
	t.Parallel()
	for _, degraded := range []bool{false, true} {
		t.Run(fmt.Sprintf("degraded=%v", degraded), func(t *testing.T) {
			t.Parallel()
			c := startTestCluster(t, 2, func(cfg *Config) { cfg.AllowDegraded = degraded })
			c.members[1].stop()
			c.awaitActive(1)
			want := http.StatusServiceUnavailable
			if degraded {
				want = http.StatusAccepted
			}
			status, header, answer := c.members[0].raw(`{"topic":"trip.created","data":1}`, "application/json")
			if status != want {
				t.Errorf("got %d %s, want %d", status, answer, want)
			}
			if !degraded && header.Get("Retry-After") == "" {
				t.Error("the refusal does not say when to try again")
			}
		})
	}
}

// TestReplacedMemberIsListedNoMore: a machine gets an empty folder, and so another name. The old
// name is dead until the new one is seen at its address.
func TestReplacedMemberIsListedNoMore(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 2, nil)
	c.members[1].stop()
	c.awaitActive(1)
	c.awaitListed(c.members[0], "active dead")
	c.members[1].config.Data = t.TempDir()
	c.members[1].start()
	c.awaitActive(2)
	for _, m := range c.members {
		c.awaitListed(m, "active active")
	}
}

// awaitListed waits until a member lists members in these states.
func (c *testCluster) awaitListed(m *testServer, want string) {
	c.t.Helper()
	var got string
	err := eventually(func() bool {
		var view struct{ Members []memberRow }
		m.get(&view, "cluster")
		var states []string
		for _, member := range view.Members {
			states = append(states, member.State)
		}
		slices.Sort(states)
		got = strings.Join(states, " ")
		return got == want
	})
	if err != nil {
		c.t.Errorf("the members are listed as %q, want %q", got, want)
	}
}

// TestMemberJoinsWithWhatItHad: a server that ran alone takes its events, retries and
// subscriptions into the cluster.
func TestMemberJoinsWithWhatItHad(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	receiver := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !works.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := startTestServer(t, nil)
	id, _ := s.subscribe(receiver.URL, subscriptionBody{Retry: &retryBody{MinDelay: "1s", MaxDelay: "1s"}}, "trip.created")
	event := s.send("trip.created", "1")
	receiver.await(1)
	s.awaitState(id, event, "waiting")
	s.stop()
	works.Store(true)
	key := writeFile(t, "key", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", clusterKeyBytes))))
	s.config.clusterFlags = clusterFlags{Bind: freePort(t), RPC: "127.0.0.1:0", Replication: 1, ClusterKey: key}
	s.start()
	(&testCluster{t, []*testServer{s}}).awaitActive(1)
	s.awaitState(id, event, "delivered")
	receiver.await(2)
}

// TestRetriesJoinWithTheirEvents: whichever member owns a subscription of a server that ran alone goes
// on with its retries.
func TestRetriesJoinWithTheirEvents(t *testing.T) {
	t.Parallel()
	const subscriptions = 8
	var works atomic.Bool
	receiver := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !works.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := startTestServer(t, nil)
	var ids []string
	for range subscriptions {
		id, _ := s.subscribe(receiver.URL, subscriptionBody{Retry: &retryBody{MinDelay: "1s", MaxDelay: "1s"}}, "trip.created")
		ids = append(ids, id)
	}
	event := s.send("trip.created", "1")
	for _, id := range ids {
		s.awaitState(id, event, "waiting")
	}
	s.stop()
	c := startTestCluster(t, 2, nil)
	s.config.clusterFlags = c.members[0].config.clusterFlags
	s.config.Bind, s.config.Join = freePort(t), []string{c.members[0].config.Bind}
	works.Store(true)
	s.start()
	c.awaitActive(3)
	for _, id := range ids {
		if d := s.awaitState(id, event, "delivered"); d.Attempts > 4 {
			t.Errorf("%s: delivered after %d attempts", id, d.Attempts)
		}
	}
}

// TestAPromotedLaneOutlivesRestarts: each life of a member writes a journal of its own for it, and the
// next one finds that.
func TestAPromotedLaneOutlivesRestarts(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 1, func(cfg *Config) { cfg.Replication, cfg.AutoPromoteRate = 1, 1 })
	s := c.members[0]
	receiver := newTestReceiver(t, nil)
	s.subscribe(receiver.URL, subscriptionBody{}, "vehicle.*")
	sent := 0
	send := func() {
		sent += len(s.sendMany("vehicle.position", 3))
	}
	promoted := func() bool {
		send()
		return slices.ContainsFunc(s.lanes(), func(l laneFigures) bool { return slices.Contains(l.Topics, "vehicle.position") })
	}
	if eventually(promoted) != nil {
		t.Fatal("the topic was not promoted")
	}
	for range 3 {
		s.restart()
		c.awaitActive(1)
		if !slices.ContainsFunc(s.lanes(), func(l laneFigures) bool { return slices.Contains(l.Topics, "vehicle.position") }) {
			t.Error("the lane is not there any more")
		}
		send()
	}
	receiver.await(sent)
}

func TestSubscriptionOfAPath(t *testing.T) {
	t.Parallel()
	ref := engine.EventRef{Journal: 1, Sequence: 2}
	sub := engine.NewSubscriptionID()
	for _, tt := range []struct {
		path  string
		want  engine.SubscriptionID
		about bool
	}{
		{"/v1/subscriptions/" + string(sub), sub, true},
		{"/v1/subscriptions/" + string(sub) + "/replay", sub, true},
		{"/v1/deliveries/" + engine.DeliveryID(ref, sub) + "/attempts", sub, true},
		{"/v1/deliveries/dlv_short", "", false},
		{"/v1/subscriptions", "", false},
		{"/v1/subscriptions/", "", false},
		{"/v1/events", "", false},
	} {
		if got, about := subscriptionOf(tt.path); got != tt.want || about != tt.about {
			t.Errorf("%s: %q %v, want %q %v", tt.path, got, about, tt.want, tt.about)
		}
	}
}

// TestChangesAreNotMadeTwice: the owner may have made one although it does not answer.
func TestChangesAreNotMadeTwice(t *testing.T) {
	t.Parallel()
	unsure, unsent := doesNotAnswer("mbr_a"), &engine.Error{Code: engine.CodeUnavailable, Err: cluster.ErrNotSent}
	for _, tt := range []struct {
		method string
		err    error
		want   bool
	}{
		{http.MethodGet, unsure, true},
		{http.MethodHead, unsure, true},
		{http.MethodGet, &engine.Error{Code: engine.CodeInternal}, false}, // its answer is too large
		{http.MethodDelete, unsure, false},
		{http.MethodPatch, unsure, false},
		{http.MethodPost, context.DeadlineExceeded, false},
		{http.MethodPost, unsent, true},
		{http.MethodDelete, unsent, true},
	} {
		if got := mayRunHere(tt.method, tt.err); got != tt.want {
			t.Errorf("%s after %v: here %t, want %t", tt.method, tt.err, got, tt.want)
		}
	}
}
