package actors

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/engine"
)

// slotModel says where each event of a mailbox is: in it, with the subscription's actor, behind
// the cursor, or settled.
type slotModel struct {
	slot *slot
	next uint64
	at   map[uint64]string
	out  []*engine.Event
}

func (m *slotModel) offer(n int) {
	for range n {
		event := &engine.Event{Ref: engine.EventRef{Journal: 1, Sequence: m.next}}
		m.next++
		taken, full := m.slot.offer(event, time.Time{})
		if full {
			m.slot.overflow(event.Ref.Sequence)
		}
		m.at[event.Ref.Sequence] = "behind"
		if taken {
			m.at[event.Ref.Sequence] = "queue"
		}
	}
}

func (m *slotModel) take(n int) {
	for range n {
		event, found := m.slot.take()
		if !found {
			return
		}
		m.out = append(m.out, event)
		m.at[event.Ref.Sequence] = "out"
	}
}

// end has some of what was taken settled or put back, the last of them first.
func (m *slotModel) end(n int, putBack bool) {
	ended := m.out[len(m.out)-min(n, len(m.out)):]
	m.out = m.out[:len(m.out)-len(ended)]
	for _, event := range ended {
		m.at[event.Ref.Sequence] = "settled"
		if putBack {
			m.at[event.Ref.Sequence] = "queue"
		}
	}
	if putBack {
		m.slot.putBack(ended, time.Time{})
	}
}

func (m *slotModel) reclaim(t *rapid.T) {
	var want []uint64
	for sequence, at := range m.at {
		if at == "queue" {
			want = append(want, sequence)
			m.at[sequence] = "behind"
		}
	}
	var got []uint64
	for _, event := range m.slot.reclaim(m.next) {
		got = append(got, event.Ref.Sequence)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("reclaimed %v, want %v", got, want)
	}
}

// Whatever goes into a mailbox and comes back to it, what lies behind the cursor is what did not
// go another way: no event is lost, and none comes twice.
func TestTheCursorCoversWhatWentNoOtherWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &slotModel{slot: &slot{journal: 1, ingress: &ingress{id: 1}}, next: 1, at: make(map[uint64]string)}
		m.slot.show()
		t.Repeat(map[string]func(*rapid.T){
			"offer":   func(t *rapid.T) { m.offer(rapid.SampledFrom([]int{1, 3, engine.MailboxCapacity}).Draw(t, "n")) },
			"take":    func(t *rapid.T) { m.take(rapid.IntRange(1, 9).Draw(t, "n")) },
			"back":    func(t *rapid.T) { m.end(rapid.IntRange(1, 5).Draw(t, "n"), true) },
			"settle":  func(t *rapid.T) { m.end(rapid.IntRange(1, 5).Draw(t, "n"), false) },
			"reclaim": m.reclaim,
			"flip": func(*rapid.T) {
				if m.slot.lagging {
					m.slot.flip(m.next - 1)
				}
			},
			"": func(t *rapid.T) {
				for sequence, at := range m.at {
					if covered := m.slot.covers(sequence); covered != (at == "behind") {
						t.Fatalf("event %d is %s, behind the cursor: %t, which is %v", sequence, at, covered, m.slot.ranges)
					}
				}
			},
		})
	})
}

// What is written of one delivery is written together, however much there is.
func TestGroupsOfWrites(t *testing.T) {
	t.Parallel()
	large := &engine.Event{Data: make([]byte, maxGroupBytes/3)}
	var changes []engine.Write
	for n := range uint64(10) {
		key := engine.DeliveryKey{Event: engine.EventRef{Sequence: n}}
		changes = append(changes,
			engine.PutDeadLetter{DeadLetter: engine.DeadLetter{Key: key, Event: large}}, engine.DropRetryRecord{Key: key}, engine.DropQueue{})
	}
	groups := groupsOf(changes)
	if len(groups) != 5 || len(slices.Concat(groups...)) != len(changes) {
		t.Fatalf("%d groups of %d changes, want 5 of %d", len(groups), len(slices.Concat(groups...)), len(changes))
	}
	for n, group := range groups {
		if _, begins := group[0].(engine.PutDeadLetter); !begins || len(group) != 6 {
			t.Errorf("group %d: %d changes that begin with %T, want two deliveries", n, len(group), group[0])
		}
	}
	if got := groupsOf(nil); len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("nothing to write gave %d groups, want one that is empty", len(got))
	}
}
