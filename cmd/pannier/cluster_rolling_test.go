package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"pannier/cluster/placement"
	"pannier/storage"
)

// TestRetainedEventsOutliveARollingRestart: what was delivered long ago is listed by every member
// although each was away for a while, and its journals were kept by others.
func TestRetainedEventsOutliveARollingRestart(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	id, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	var events []string
	send := func() {
		for n := range 30 {
			if m := c.members[n%3]; m.server != nil {
				events = append(events, m.send("trip.created", fmt.Sprint(n)))
			}
		}
		receiver.await(len(events))
	}
	send()
	for _, m := range c.members {
		m.stop()
		c.awaitActive(2)
		send()
		m.start()
		c.awaitActive(3)
		send()
	}
	for _, m := range c.members {
		m.awaitListed(events, "events")
		m.awaitListed(events, "subscriptions", id, "events")
		m.awaitListed(events, "subscriptions", id, "deliveries")
	}
}

// awaitListed waits until a list has these events, in whatever order.
func (s *testServer) awaitListed(events []string, path ...string) {
	s.t.Helper()
	want := slices.Sorted(slices.Values(events))
	var got []string
	err := eventually(func() bool {
		got = s.listed(path...)
		return slices.Equal(got, want)
	})
	if err != nil {
		s.t.Errorf("%s lists %d of %d events under %v", s.api.server, len(got), len(want), path)
	}
}

// listed gives the ids of the events of a list, sorted.
func (s *testServer) listed(path ...string) (events []string) {
	s.t.Helper()
	var listed page[struct {
		ID      string
		EventID string `json:"event_id"`
	}]
	body, err := s.api.do(s.t.Context(), call{method: http.MethodGet, path: pathOf(path...), query: longestPage()})
	if err == nil {
		err = decodeAnswer(body, &listed)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, item := range listed.Data {
		if item.EventID != "" {
			item.ID = item.EventID
		}
		events = append(events, item.ID)
	}
	slices.Sort(events)
	return events
}

// TestMemberThatStopsSaysSoFirst: load balancers have the time to send requests elsewhere, and what
// comes meanwhile is answered.
func TestMemberThatStopsSaysSoFirst(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 2, func(cfg *Config) { cfg.Replication = 1 })
	m := c.members[1]
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- m.server.Close(ctx)
	}()
	t.Cleanup(func() { m.server = nil }) // it is stopped already
	err := eventually(func() bool {
		answer, err := m.api.http.Get(m.api.server + "/readyz")
		if err != nil {
			t.Fatalf("the member stopped without a word: %v", err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusServiceUnavailable
	})
	if err != nil {
		t.Fatal("/readyz does not say that the member stops")
	}
	err = eventually(func() bool {
		var view struct{ Members []memberRow }
		m.get(&view, "cluster")
		return slices.ContainsFunc(view.Members, func(row memberRow) bool { return row.State == "draining" })
	})
	if err != nil {
		t.Fatal("the member does not leave while it answers")
	}
	m.send("trip.created", "1")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestGivenIDsOutliveTheirMember: events that were delivered long ago are posted again as soon as the
// member that took them is gone.
func TestGivenIDsOutliveTheirMember(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	const events = 20
	post := func(m *testServer, n int) (status int, replayed string) {
		body := fmt.Sprintf(`{"id":"given-%d","topic":"trip.created","data":%d}`, n, n)
		status, header, _ := m.raw(body, "application/json")
		return status, header.Get("Idempotency-Replayed")
	}
	for n := range events {
		if status, _ := post(c.members[2], n); status != http.StatusAccepted {
			t.Fatalf("event %d: %d", n, status)
		}
	}
	receiver.await(events)
	c.members[2].stop()
	for n := range events {
		var status int
		var replayed string
		err := eventually(func() bool {
			status, replayed = post(c.members[n%2], n)
			return status != http.StatusServiceUnavailable
		})
		if err != nil || status != http.StatusAccepted || replayed != "true" {
			t.Errorf("event %d posted again: %d, replayed %q", n, status, replayed)
		}
	}
	if got := len(receiver.got()); got != events {
		t.Errorf("%d requests arrived, want %d", got, events)
	}
}

// TestRetainedEventsOutliveTheirMember: what a member took and delivered is listed after it is gone
// for good, although nobody had followed it from the beginning: whoever follows for half a minute is
// given all of it.
func TestRetainedEventsOutliveTheirMember(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	id, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	var events []string
	send := func() {
		for n := range 20 {
			events = append(events, c.members[0].send("trip.created", fmt.Sprint(n)))
		}
		receiver.await(len(events))
	}
	send()
	node := c.members[0].server.member.cluster.node
	followers := node.View().Followers(placement.MemberID(c.members[0].server.member.folder.Member()))
	at := func(id placement.MemberID) *testServer {
		return c.members[slices.IndexFunc(c.members, func(m *testServer) bool { return m.server.member.folder.Member() == string(id) })]
	}
	first, second := at(followers[0]), at(followers[1])
	awaitCopy := func(m *testServer, is func(storage.Copy) bool) {
		t.Helper()
		copies := m.server.member.cluster.copies
		err := eventually(func() bool {
			return slices.ContainsFunc(copies.List(), func(copied storage.Copy) bool {
				return copied.Origin == c.members[0].server.member.folder.Member() && is(copied)
			})
		})
		if err != nil {
			t.Fatalf("the copies are %+v", copies.List())
		}
	}
	awaitCopy(first, func(copied storage.Copy) bool { return copied.Release == 21 })
	first.stop()
	c.awaitActive(2)
	send()
	awaitCopy(second, func(copied storage.Copy) bool { return copied.Begun == 21 && copied.Next == 41 })
	awaitCopy(second, func(copied storage.Copy) bool { return copied.Begun == 1 })
	c.members[0].stop()
	second.awaitListed(events, "events")
	second.awaitListed(events, "subscriptions", id, "deliveries")
}
