package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pannier/engine"
)

// TestEveryMemberKnowsWhatBecameOfAnEvent: the retry records of its deliveries are on some of the
// members, and all say the same.
func TestEveryMemberKnowsWhatBecameOfAnEvent(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	refused := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	want := make(map[string]string)
	none, some := 0, 5
	for n := range 8 {
		body, state := subscriptionBody{Retry: &retryBody{MaxRetries: &some, MinDelay: "1h", MaxDelay: "2h"}}, "waiting"
		if n%2 == 0 {
			body.Retry, state = &retryBody{MaxRetries: &none}, "dead"
		}
		id, _ := c.members[0].subscribe(refused.URL, body, "trip.created")
		want[id] = state
	}
	event := c.members[0].send("trip.created", "1")
	for id, state := range want {
		c.members[0].awaitState(id, event, state)
	}
	for n, m := range c.members {
		var listed page[struct {
			SubscriptionID string `json:"subscription_id"`
			State          string `json:"state"`
			Attempts       int    `json:"attempts"`
		}]
		m.get(&listed, "events", event, "deliveries")
		if len(listed.Data) != len(want) {
			t.Errorf("member %d lists %d deliveries, want %d", n, len(listed.Data), len(want))
		}
		for _, d := range listed.Data {
			if d.State != want[d.SubscriptionID] || d.Attempts != 1 {
				t.Errorf("member %d: %s is %s after %d attempts, want %s after one", n, d.SubscriptionID, d.State, d.Attempts, want[d.SubscriptionID])
			}
		}
	}
}

// TestExpiredIsListedWithoutItsKeeper: the dead letters of what left the retention unattempted are
// on the replicas of the subscription, and outlive the member that kept the journal.
func TestExpiredIsListedWithoutItsKeeper(t *testing.T) {
	t.Parallel()
	const events = 5
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	id, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	sub, keeper := engine.SubscriptionID(id), c.members[2]
	expired := engine.Expired{Subscription: sub, ExpiredAt: time.Now()}
	for n := range uint64(events) {
		ref := engine.EventRef{Journal: keeper.server.member.system.Journals(t.Context())[0].Journal.ID(), Sequence: 1000 + n}
		expired.Add(&engine.Event{Ref: ref, ID: fmt.Sprint("e", n), Topic: "trip.created", AcceptedAt: time.Now().Truncate(time.Second)})
	}
	written := make(chan struct{})
	state := keeper.server.member.cluster.node.State(keeper.server.member.state)
	if err := state.Write([]engine.Write{engine.PutExpired{Expired: expired}}, func() { close(written) }); err != nil {
		t.Fatal(err)
	}
	<-written
	keeper.stop()
	c.awaitActive(2)
	letter := expired.Letters()[0]
	for n, m := range c.members[:2] {
		var listed page[testDelivery]
		m.get(&listed, "subscriptions", id, "deliveries")
		if len(listed.Data) != events {
			t.Errorf("member %d lists %d deliveries, want %d", n, len(listed.Data), events)
		}
		for _, d := range listed.Data {
			if d.State != "dead" || d.Reason != "expired" {
				t.Errorf("member %d: %+v, want an expired dead letter", n, d)
			}
		}
		var one testDelivery
		if m.get(&one, "deliveries", engine.DeliveryID(letter.Key.Event, sub)); one.Reason != "expired" {
			t.Errorf("member %d: one of them is %+v", n, one)
		}
	}
}

// TestAttemptsOfAFormerOwner: the owner of a subscription lists what the one before it attempted.
func TestAttemptsOfAFormerOwner(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	c.members[2].stop()
	c.awaitActive(2)
	refused := newTestReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	retries := 5
	body := subscriptionBody{Retry: &retryBody{MaxRetries: &retries, MinDelay: "1h", MaxDelay: "2h"}}
	var ids []string
	for range 12 {
		id, _ := c.members[0].subscribe(refused.URL, body, "trip.created")
		ids = append(ids, id)
	}
	event := c.members[0].send("trip.created", "1")
	for _, id := range ids {
		c.members[0].awaitState(id, event, "waiting")
	}
	c.members[2].start()
	c.awaitActive(3)
	moved := 0
	for _, id := range ids {
		if c.members[0].server.member.cluster.Owner(engine.SubscriptionID(id)) != c.members[2].server.member.folder.Member() {
			continue
		}
		moved++
		d := c.members[0].awaitState(id, event, "waiting")
		if attempts := c.members[1].awaitAttempts(d.ID, 1); attempts[0].Number != 1 || attempts[0].Outcome != "failure" {
			t.Errorf("%s: attempts %+v, want the one of its former owner", id, attempts)
		}
	}
	if moved == 0 {
		t.Fatal("no subscription moved")
	}
}

// TestLanesAreThoseOfAllMembers: whoever is asked tells what waits on any of them, and not what
// waits here.
func TestLanesAreThoseOfAllMembers(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	hold := make(chan struct{})
	defer close(hold)
	receiver := newTestReceiver(t, func(int, http.ResponseWriter, *http.Request) { <-hold })
	one := 1
	c.members[0].subscribe(receiver.URL, subscriptionBody{Limits: &limitsBody{MaxInFlight: &one}}, "trip.created")
	for _, m := range c.members {
		m.send("trip.created", "1")
		m.send("trip.created", "2")
	}
	for n, m := range c.members {
		var got laneFigures
		if eventually(func() bool { got, _ = m.lane("shared"); return got.Backlog == 5 && got.InFlight == 1 }) != nil {
			t.Errorf("member %d: %+v, want 5 that wait and 1 under way", n, got)
		}
		if lanes := m.lanes(); len(lanes) != 1 {
			t.Errorf("member %d lists %+v, want one lane", n, lanes)
		}
	}
}

// TestRetryOfADeliveredDelivery: the owner attempts it whoever keeps its event.
func TestRetryOfADeliveredDelivery(t *testing.T) {
	t.Parallel()
	c := startTestCluster(t, 3, nil)
	receiver := newTestReceiver(t, nil)
	id, _ := c.members[0].subscribe(receiver.URL, subscriptionBody{}, "trip.created")
	var events []string
	for _, m := range c.members {
		events = append(events, m.send("trip.created", "1"))
	}
	receiver.await(len(events))
	for _, event := range events {
		d := c.members[0].awaitState(id, event, "delivered")
		c.members[0].call(call{method: http.MethodPost, path: pathOf("deliveries", d.ID, "retry")}, nil)
	}
	receiver.await(2 * len(events))
}
