package tally_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pannier/bench/load/tally"
)

func TestMark(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := tally.Mark{
			Run: rapid.Uint32().Draw(t, "run"), Kind: rapid.Uint16().Draw(t, "kind"),
			Number: rapid.Uint64Max(tally.MaxNumber).Draw(t, "number"),
		}
		got, ok := tally.ParseMark([]byte(want.String()))
		if !ok || got != want || len(want.String()) != 36 {
			t.Fatalf("%s is read as %+v, want %+v", want, got, want)
		}
	})
	for _, text := range []string{
		"", "00000001-0001-4000-8000-00000000000", "00000001-0001-4000-8000-00000000000G", "00000001-0001-4000-9000-000000000001",
		"00000001x0001-4000-8000-000000000001", "7d0b0a51-7f0a-4a1f-8a36-9f2f5c1f7b10",
	} {
		if mark, ok := tally.ParseMark([]byte(text)); ok {
			t.Errorf("%q is read as %+v", text, mark)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOf(rapid.OneOf(rapid.Uint64Max(200), rapid.Uint64Range(65_500, 65_600), rapid.Just[uint64](tally.MaxNumber))).Draw(t, "numbers")
		var set tally.Set
		model := map[uint64]bool{}
		for _, n := range numbers {
			if fresh := set.Add(n); fresh == model[n] {
				t.Fatalf("adding %d: fresh %v", n, fresh)
			}
			model[n] = true
		}
		for n := range uint64(210) {
			if set.Has(n) != model[n] {
				t.Fatalf("%d in the set: %v", n, set.Has(n))
			}
		}
		if set.Len() != int64(len(model)) {
			t.Fatalf("%d numbers, want %d", set.Len(), len(model))
		}
	})
	if new(tally.Set).Has(tally.MaxNumber + 1) {
		t.Error("one past the last number is in an empty set")
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h tally.Histogram
	if got := h.Percentile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for _, test := range []struct {
		part float64
		want time.Duration
	}{
		{0, time.Millisecond},
		{0.5, 500 * time.Millisecond},
		{0.99, 990 * time.Millisecond},
		{1, time.Second},
	} {
		if got := h.Percentile(test.part); got < test.want || got > test.want+test.want/31 {
			t.Errorf("percentile %v is %v, want %v and at most 1/32 more", test.part, got, test.want)
		}
	}
	var sum tally.Histogram
	sum.Merge(&h)
	sum.Add(-time.Second)
	sum.Add(1000 * time.Hour)
	if sum.Count() != 1002 || sum.Percentile(0) > time.Microsecond || sum.Percentile(1) < 24*time.Hour {
		t.Errorf("count %d, from %v to %v", sum.Count(), sum.Percentile(0), sum.Percentile(1))
	}
}

// world is a run of 100 events of topic a and 50 of topic b; the subscription takes a.
type world struct {
	book    *tally.Book
	receipt *tally.Receipt
	feed    *tally.Feed
	open    *tally.Feed
	now     time.Time
}

const run = 7

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Unix(1_800_000_000, 0)}
	w.book = tally.NewBook(run, w.now, []tally.Topic{{Name: "a", Member: "id"}, {Name: "b", Member: "id"}})
	w.receipt = tally.NewReceipt("city", w.book, func(topic string) bool { return topic == "a" })
	w.feed, w.open = tally.NewFeed(w.book), tally.NewFeed(w.book)
	for n := range uint64(100) {
		w.post(t, "a", n)
	}
	for n := range uint64(50) {
		w.post(t, "b", n)
	}
	return w
}

func data(number uint64) []byte {
	return fmt.Appendf(nil, `{"n":1,"id":"%s","x":"y"}`, tally.Mark{Run: run, Kind: 3, Number: number})
}

func id(topic string, number uint64) string { return fmt.Sprintf("evt_%s_%d", topic, number) }

func (w *world) post(t *testing.T, topic string, number uint64) {
	t.Helper()
	if !w.book.Plan(topic, number, data(number), w.now) {
		t.Fatalf("%s %d is refused", topic, number)
	}
	w.book.Accept(topic, number, id(topic, number))
}

func (w *world) arrive(number uint64) {
	w.receipt.Arrived("a", id("a", number), data(number), w.now.Add(time.Second))
}

func (w *world) list(number uint64, state string) {
	w.feed.Listed("a", id("a", number), data(number), state)
	if state != tally.StateDelivered {
		w.open.Listed("a", id("a", number), data(number), state)
	}
}

// all lets everything arrive and be listed, but for the numbers in without.
func (w *world) all(without ...uint64) {
	for n := range uint64(100) {
		skip := false
		for _, x := range without {
			skip = skip || x == n
		}
		if !skip {
			w.arrive(n)
			w.list(n, tally.StateDelivered)
		}
	}
}

func (w *world) compare() tally.Report {
	return tally.Compare(w.book, []tally.Evidence{{Receipt: w.receipt, Feed: w.feed, Undelivered: w.open}})
}

func TestCompareAgrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.all(3)
	w.list(3, tally.StateDead)
	w.arrive(4) // a duplicate is allowed
	w.receipt.Arrived("other", "evt_other", []byte(`{}`), w.now)
	report := w.compare()
	if len(report.Mismatches) > 0 {
		t.Errorf("mismatches: %q", report.Mismatches)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "1 events of others") {
		t.Errorf("notes: %q", report.Notes)
	}
	if w.receipt.Missing() != 1 || w.receipt.Unique() != 99 || !w.receipt.Last().Equal(w.now.Add(time.Second)) {
		t.Errorf("missing %d, unique %d, last %v", w.receipt.Missing(), w.receipt.Unique(), w.receipt.Last())
	}
	want := tally.Line{
		Subscription: "city", Topic: "a", Accepted: 100, Arrived: 99, Duplicates: 1, Listed: 100, Undelivered: 1, Dead: 1,
	}
	if len(report.Lines) != 1 {
		t.Fatalf("lines: %+v", report.Lines)
	}
	got := report.Lines[0]
	if got.P50 < time.Second || got.P99 > 1050*time.Millisecond {
		t.Errorf("p50 %v, p99 %v, want a second", got.P50, got.P99)
	}
	if got.P50, got.P99 = 0, 0; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCompareCatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		spoil      func(w *world)
	}{
		{"Lost", "LOST", func(w *world) { w.all(9); w.list(9, tally.StateDelivered) }},
		{"LostAndUnlisted", "not in the feed", func(w *world) { w.all(9) }},
		{"Unlisted", "not in the feed", func(w *world) { w.all(9); w.arrive(9) }},
		{"TwiceInTheFeed", "twice in the feed", func(w *world) { w.all(); w.list(9, tally.StateDelivered) }},
		{"TwiceInTheUndelivered", "twice in the undelivered feed", func(w *world) {
			w.all(9)
			w.list(9, tally.StateDead)
			w.open.Listed("a", id("a", 9), data(9), tally.StateDead)
		}},
		{"Invented", "arrived invented", func(w *world) { w.all(); w.arrive(100) }},
		{"InventedInTheFeed", "in the feed invented", func(w *world) { w.all(); w.list(100, tally.StateDelivered) }},
		{"InventedFarAway", "arrived invented", func(w *world) { w.all(); w.arrive(1 << 40) }},
		{"SecondEvent", "under another id", func(w *world) {
			w.all()
			w.receipt.Arrived("a", "evt_other", data(9), w.now)
		}},
		{"SecondEventInTheFeed", "in the feed under another id", func(w *world) {
			w.all()
			w.feed.Listed("a", "evt_other", data(9), tally.StateDelivered)
		}},
		{"Altered", "arrived altered", func(w *world) {
			w.all(9)
			w.list(9, tally.StateDelivered)
			w.receipt.Arrived("a", id("a", 9), append(data(9), ' '), w.now)
		}},
		{"Malformed", "arrived malformed", func(w *world) { w.all(); w.receipt.Arrived("a", id("a", 9), []byte(`{}`), w.now) }},
		{"Unsigned", "wrong signature", func(w *world) { w.all(); w.receipt.Odd(tally.Unsigned) }},
		{"Stray", "of a topic not asked for", func(w *world) {
			w.all()
			w.receipt.Arrived("b", id("b", 1), data(1), w.now)
		}},
		{"StrayInTheFeed", "not asked for, yet in the feed", func(w *world) {
			w.all()
			w.feed.Listed("b", id("b", 1), data(1), tally.StateDelivered)
		}},
		{"StrayInTheUndelivered", "not asked for, yet in the undelivered feed", func(w *world) {
			w.all()
			w.open.Listed("b", id("b", 1), data(1), tally.StateDead)
		}},
		{"Waiting", "not settled in time", func(w *world) { w.all(9); w.list(9, "waiting") }},
		{"Hidden", "undelivered, but not in the undelivered feed", func(w *world) {
			w.all(9)
			w.arrive(9)
			w.feed.Listed("a", id("a", 9), data(9), tally.StateDead)
		}},
		{"Surplus", "delivered, but in the undelivered feed", func(w *world) {
			w.all()
			w.open.Listed("a", id("a", 9), data(9), tally.StateDead)
		}},
		{"Unanswered", "posted and never answered", func(w *world) {
			w.all()
			w.book.Plan("a", 100, data(100), w.now)
		}},
		{"RefusedArrived", "arrived and never answered 202", func(w *world) {
			w.all()
			w.book.Plan("a", 100, data(100), w.now)
			w.book.Refuse("a", 100)
			w.arrive(100)
		}},
		{"RefusedListed", "in the feed and never answered 202", func(w *world) {
			w.all()
			w.book.Plan("a", 100, data(100), w.now)
			w.book.Refuse("a", 100)
			w.list(100, tally.StateDelivered)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.spoil(w)
			got := w.compare().Mismatches
			if !strings.Contains(strings.Join(got, "\n"), test.want) {
				t.Errorf("got %q, want one with %q", got, test.want)
			}
		})
	}
}

// Without the whole feed, what is undelivered still counts.
func TestCompareWithoutFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.all(3, 5)
	w.list(3, tally.StateDead)
	report := tally.Compare(w.book, []tally.Evidence{{Receipt: w.receipt, Undelivered: w.open}})
	if len(report.Mismatches) != 1 || !strings.Contains(report.Mismatches[0], "LOST") || !strings.HasSuffix(report.Mismatches[0], "[5]") {
		t.Errorf("got %q, want number 5 lost", report.Mismatches)
	}
	if report.Lines[0].Listed != -1 {
		t.Errorf("%d listed, want -1", report.Lines[0].Listed)
	}
}

func TestPlanBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if w.book.Plan("a", tally.MaxNumber+1, nil, w.now) || w.book.Plan("c", 1, nil, w.now) {
		t.Error("a number or a topic out of bounds is planned")
	}
	if !w.book.Plan("a", tally.MaxNumber, nil, w.now) {
		t.Error("the last number is refused")
	}
}

// Of the numbers a mismatch has, the first few are named and all are counted.
func TestMismatchNamesTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.all(1, 2, 3, 5, 8, 13, 21)
	for _, n := range []uint64{1, 2, 3, 5, 8, 13, 21} {
		w.list(n, tally.StateDelivered)
	}
	got := w.compare().Mismatches
	if len(got) != 1 || !strings.HasSuffix(got[0], ": 7, the first numbers [1 2 3 5 8]") {
		t.Errorf("got %q", got)
	}
}
