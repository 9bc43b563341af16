package protocol

import (
	"slices"
	"testing"
	"time"
)

func TestScheduleListsWhatIsDueInOrder(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	var s schedule
	if got := s.due(at(0)); got != nil {
		t.Errorf("an empty schedule has %v due, want nothing", got)
	}
	s.set(7, at(2))
	s.set(900, at(1))
	s.set(3, at(3))
	for _, step := range []struct {
		now   int
		want  []int
		clear []int
	}{
		{0, nil, nil},
		{1, []int{900}, nil},
		{2, []int{7, 900}, []int{900}}, // what is not cleared stays due
		{2, []int{7}, []int{7}},
		{2, nil, nil},
		{3, []int{3}, []int{3}},
		{9, nil, nil},
	} {
		if got := s.due(at(step.now)); !slices.Equal(got, step.want) {
			t.Errorf("due at %d is %v, want %v", step.now, got, step.want)
		}
		for _, shard := range step.clear {
			s.clear(shard)
		}
	}
	s.set(5, at(20))
	s.set(5, at(10)) // brought forward
	if got, want := s.due(at(10)), []int{5}; !slices.Equal(got, want) {
		t.Errorf("due after bringing forward is %v, want %v", got, want)
	}
	if !s.has(5) || s.has(6) {
		t.Errorf("has(5), has(6) = %v, %v, want true, false", s.has(5), s.has(6))
	}
}
