package main

import (
	"reflect"
	"testing"

	"pannier/engine"
)

// TestAccountGoesAsFarAsTheCopy: the keeper that gave it may have come further.
func TestAccountGoesAsFarAsTheCopy(t *testing.T) {
	t.Parallel()
	account := func() (engine.Watermark, []engine.Cursor) {
		return engine.Watermark{Journal: 7, Sequence: 150, Routed: 180, OpenThrough: 170, Open: []engine.OpenPairs{{Subscription: "sub_1", Sequences: []uint64{99, 100, 151}}}},
			[]engine.Cursor{
				{Subscription: "sub_1", Ranges: []engine.Range{{From: 20, Through: 30}, {From: 90, Through: 120}, {From: 130, Through: 140}}},
				{Subscription: "sub_2", Ranges: []engine.Range{{From: 101, Through: 110}}},
			}
	}
	mark, cursors := account()
	gotMark, gotCursors := upTo(101, mark, cursors)
	wantMark := engine.Watermark{Journal: 7, Sequence: 101, Routed: 100, OpenThrough: 100, Open: []engine.OpenPairs{{Subscription: "sub_1", Sequences: []uint64{99, 100}}}}
	wantCursors := []engine.Cursor{{Subscription: "sub_1", Ranges: []engine.Range{{From: 20, Through: 30}, {From: 90, Through: 100}}}}
	if !reflect.DeepEqual(gotMark, wantMark) || !reflect.DeepEqual(gotCursors, wantCursors) {
		t.Errorf("got %+v, %+v; want %+v, %+v", gotMark, gotCursors, wantMark, wantCursors)
	}
	mark, cursors = account()
	gotMark, gotCursors = upTo(181, mark, cursors)
	if wantMark, wantCursors := account(); !reflect.DeepEqual(gotMark, wantMark) || !reflect.DeepEqual(gotCursors, wantCursors) {
		t.Errorf("of a copy with all of it: got %+v, %+v; want it unchanged", gotMark, gotCursors)
	}
}
