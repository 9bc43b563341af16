package members

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pannier/cluster/placement"

	"go.uber.org/goleak"
)

func TestThreeSeeEachOther(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	var mu sync.Mutex
	told := make(map[placement.MemberID][]placement.Member)
	all := beginThree(t, func(o *Options) {
		id := o.Self.ID
		calls := &atomic.Int32{}
		o.Changed = func(list []placement.Member) {
			if calls.Add(1) > 1 {
				running.Add(1) // two calls at a time
			}
			mu.Lock()
			told[id] = slices.Clone(list)
			mu.Unlock()
			clear(list) // it is the callee's
			calls.Add(-1)
		}
	})
	for _, m := range all {
		eventually(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			if got, want := told[m.options.Self.ID], m.List(); !slices.Equal(got, want) || len(got) != 3 {
				return errors.New("the last list told is not the last list")
			}
			return nil
		})
		if got, want := m.List(), all[0].List(); !slices.Equal(got, want) {
			t.Errorf("a member sees %v, another one %v", got, want)
		}
	}
	if running.Load() != 0 {
		t.Error("Changed was called twice at a time")
	}
	got := all[1].Addresses()
	if len(got) != 2 || got["a"] != all[0].address || got["c"] != all[2].address {
		t.Errorf("b has the addresses %v", got)
	}
}

func TestStatesAreSeen(t *testing.T) {
	t.Parallel()
	all := beginThree(t, nil)
	for _, state := range []placement.State{placement.Active, placement.Draining} {
		if err := all[1].SetState(state); err != nil {
			t.Fatal(err)
		}
		if got, want := words(all[1].List())[1], "b1 "+state.String(); got != want {
			t.Errorf("b sees itself as %q, want %q", got, want)
		}
		for _, m := range all {
			sees(t, m, "a1 joining", "b1 "+state.String(), "c1 joining")
		}
	}
	if err := all[1].SetSalt(placement.Salts + 1); err == nil {
		t.Error("a place that there is not is announced")
	}
	if err := all[1].SetState(placement.Draining + 1); err == nil {
		t.Error("an unknown state is announced")
	}
}

func TestKillIsNoticed(t *testing.T) {
	t.Parallel()
	all := beginThree(t, nil)
	if err := all[2].Close(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for _, m := range all[:2] {
		sees(t, m, "a1 joining", "b1 joining")
	}
	took := time.Since(killed)
	t.Logf("noticed after %v", took)
	if limit := 5 * time.Second; took > limit {
		t.Errorf("noticed after %v, want %v at most", took, limit)
	}
	if got, want := all[0].Addresses()["c"], all[2].address; got != want {
		t.Errorf("the address of the dead is %q, want %q", got, want)
	}
}

func TestLeaveIsSeen(t *testing.T) {
	t.Parallel()
	all := beginThree(t, nil)
	if err := all[2].Leave(patience); err != nil {
		t.Fatal(err)
	}
	// It still answers probes: nobody takes it for dead.
	for _, m := range all[:2] {
		sees(t, m, "a1 joining", "b1 joining")
	}
	if err := all[2].Leave(patience); err != nil {
		t.Error("a second leave:", err)
	}
	if err := all[2].SetState(placement.Active); !errors.Is(err, errClosed) {
		t.Errorf("a state after leaving gives %v, want %v", err, errClosed)
	}
	if !slices.ContainsFunc(all[2].List(), func(m placement.Member) bool { return m.ID == "c" }) {
		t.Error("it does not see itself")
	}
}

func TestNewerBootSupersedes(t *testing.T) {
	t.Parallel()
	a := begin(t, testOptions("a"))
	o := testOptions("b")
	o.Seeds = []string{a.address}
	older := begin(t, o)
	sees(t, a, "a1 joining", "b1 joining")

	o.Self.Boot = 2
	newer := begin(t, o)
	for _, m := range []*Members{a, older, newer} {
		sees(t, m, "a1 joining", "b2 joining")
	}
	if err := older.SetState(placement.Active); err != nil {
		t.Fatal(err)
	}
	if err := newer.Leave(patience); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Members{a, older} {
		sees(t, m, "a1 joining")
	}
}

func TestHealedPartitionMerges(t *testing.T) {
	t.Parallel()
	var cable network
	all := beginThree(t, cable.join)
	cable.cut(all[0].address)
	sees(t, all[0], "a1 joining")
	for _, m := range all[1:] {
		sees(t, m, "b1 joining", "c1 joining")
	}
	lost := all[0].Addresses()
	if _, err := all[0].Join(t.Context(), []string{lost["b"]}); err == nil {
		t.Error("a cut link is joined over")
	}

	cable.heal()
	joined, err := all[0].Join(t.Context(), []string{lost["b"], all[0].address})
	if joined != 1 || err != nil {
		t.Fatalf("%d answered (%v), want 1", joined, err)
	}
	for _, m := range all {
		sees(t, m, "a1 joining", "b1 joining", "c1 joining")
	}
}

func TestLaterSeedIsFound(t *testing.T) {
	t.Parallel()
	later, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := later.Addr().String()
	later.Close()

	var log logbook
	o := testOptions("a")
	o.Seeds, o.Logger = []string{address}, log.logger()
	a := begin(t, o)
	if got := log.count("no seed answers"); got != 1 {
		t.Errorf("logged %d times that no seed answers, want 1", got)
	}
	o = testOptions("b")
	o.Bind = address
	b := begin(t, o)
	for _, m := range []*Members{a, b} {
		sees(t, m, "a1 joining", "b1 joining")
	}
}

//nolint:paralleltest // goroutines of other tests are not its own
func TestCloseLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	a := begin(t, testOptions("a"))
	o := testOptions("b")
	o.Seeds = []string{a.address, "127.0.0.1:1"}
	b := begin(t, o)
	sees(t, a, "a1 joining", "b1 joining")
	lonely := testOptions("c")
	lonely.Seeds = []string{"127.0.0.1:1"}
	c := begin(t, lonely)
	for _, m := range []*Members{a, b, c} {
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := m.Leave(patience); err != nil {
			t.Error("leave after close:", err)
		}
		if err := m.SetState(placement.Active); !errors.Is(err, errClosed) {
			t.Errorf("a state after close gives %v, want %v", err, errClosed)
		}
		if _, err := m.Join(t.Context(), []string{"127.0.0.1:1"}); !errors.Is(err, errClosed) {
			t.Errorf("a join after close gives %v, want %v", err, errClosed)
		}
	}
}
