package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

// The undelivered feed is what the whole feed says is undelivered, whatever the page: dead
// letters, retry records, attempts under way, a mailbox and a stretch behind a cursor.
func TestUndeliveredFeedAgreesWithTheWholeFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		numbers := make(map[string]int)
		for n := range 2800 {
			numbers[fmt.Sprintf("e%d", n)] = n
		}
		w.answer(func(p pair, n int) engine.Result {
			switch number := numbers[p.event]; {
			case number%3 == 0, number%3 == 1 && n == 1:
				return failing(p, n)
			default:
				return succeeding(p, n)
			}
		})
		l := w.boot()
		sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxRetries = 1 })
		publish := func(from, to int) {
			for n := from; n < to; n += 100 {
				ids := make([]string, 100)
				for i := range ids {
					ids[i] = fmt.Sprintf("e%d", n+i)
				}
				l.publish("trip.created", ids...)
				<-time.After(time.Millisecond)
			}
		}
		publish(0, 900)
		<-time.After(time.Minute) // 300 dead letters, the rest delivered
		publish(900, 1800)
		<-time.After(time.Second) // 600 wait for their retry
		w.answer(func(p pair, n int) engine.Result {
			<-time.After(2 * time.Second)
			return succeeding(p, n)
		})
		publish(1800, 2800)
		<-time.After(time.Second) // 64 under way, a full mailbox, the rest behind the cursor

		want := make(map[string]engine.DeliveryState)
		for _, item := range feed(t, l, sub, false, 1000) {
			if item.Delivery.State != engine.DeliveryDelivered {
				want[item.Event.ID] = item.Delivery.State
			}
		}
		if len(want) != 300+600+1000 {
			t.Errorf("the whole feed has %d undelivered events, want 1900", len(want))
		}
		for _, limit := range []int{7, 256, 1000} {
			got := feed(t, l, sub, true, limit)
			for _, item := range got {
				if want[item.Event.ID] != item.Delivery.State {
					t.Errorf("%s is %s, the whole feed says %q", item.Event.ID, item.Delivery.State, want[item.Event.ID])
				}
			}
			if len(got) != len(want) {
				t.Errorf("pages of %d: %d undelivered events, want %d", limit, len(got), len(want))
			}
		}
		<-time.After(5 * time.Minute)
		if got := feed(t, l, sub, true, 1000); len(got) != 300 {
			t.Errorf("%d undelivered events at the end, want the 300 dead letters", len(got))
		}
		l.stop()
	})
}

// feed reads a feed to its end.
func feed(t *testing.T, l *life, sub engine.SubscriptionID, undelivered bool, limit int) []engine.FeedItem {
	t.Helper()
	var items []engine.FeedItem
	for page := (engine.Page{Limit: limit}); ; {
		listed, err := l.engine.Feed(context.Background(), engine.Caller{Role: engine.RoleAdmin}, sub, engine.FeedFilter{UndeliveredOnly: undelivered}, page)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, listed.Items...)
		if page.Cursor = listed.Next; page.Cursor == "" {
			return items
		}
	}
}

// An event that is accepted, or moves on from the mailbox to an attempt, while the feed is
// read is never taken for delivered.
func TestFeedNeverSaysDeliveredTooEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer(func(p pair, n int) engine.Result {
			<-time.After(time.Millisecond)
			return succeeding(p, n)
		})
		l := w.boot()
		sub := l.subscribe(func(s *engine.SubscriptionSpec) { s.MaxInFlight = 4 })
		const events = 200
		go func() {
			for n := range events {
				l.publish("trip.created", fmt.Sprintf("e%d", n))
				if n%10 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		}()
		for w.count(sub, fmt.Sprintf("e%d", events-1)) == 0 {
			for _, item := range feed(t, l, sub, false, 1000) {
				if item.Delivery.State == engine.DeliveryDelivered && w.count(sub, item.Event.ID) == 0 {
					t.Fatalf("%s is said to be delivered before it has arrived", item.Event.ID)
				}
			}
			<-time.After(50 * time.Microsecond)
		}
		<-time.After(time.Second)
		l.stop()
	})
}
