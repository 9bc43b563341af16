package members

import (
	"fmt"
	"strings"
	"testing"

	"pannier/cluster/placement"

	"github.com/hashicorp/memberlist"
)

func TestOthersAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Options)
		logged int // times by each
	}{
		{"Key", func(o *Options) { o.Key = append([]byte{8}, o.Key[1:]...) }, 0},
		{"Cluster", func(o *Options) { o.Cluster = "other" }, 0},
		{"Shards", func(o *Options) { o.Shards = 512 }, 1},
		{"Format", func(o *Options) { o.Format = 2 }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var logs [2]logbook
			o := testOptions("a")
			o.Logger = logs[0].logger()
			a := begin(t, o)
			o = testOptions("b")
			o.Logger = logs[1].logger()
			test.change(&o)
			b := begin(t, o)
			for range 3 {
				if n, err := b.Join(t.Context(), []string{a.address}); n != 0 || err == nil {
					t.Errorf("%d answered (%v)", n, err)
				}
				if n, err := a.Join(t.Context(), []string{b.address}); n != 0 || err == nil {
					t.Errorf("%d answered (%v)", n, err)
				}
			}
			sees(t, a, "a1 joining")
			sees(t, b, "b1 joining")
			for n := range logs {
				if got := logs[n].count("msg=\"member refused\""); got != test.logged {
					t.Errorf("refusal is logged %d times, want %d", got, test.logged)
				}
				if got := logs[n].count("text="); test.logged > 0 && got != 0 {
					t.Errorf("memberlist repeats it %d times", got)
				}
			}
		})
	}
}

func TestOptionsAreRefused(t *testing.T) {
	t.Parallel()
	taken := begin(t, testOptions("taken"))
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"NoKey", func(o *Options) { o.Key = nil }, "the key has 0 bytes instead of 32"},
		{"ShortKey", func(o *Options) { o.Key = o.Key[1:] }, "the key has 31 bytes"},
		{"NoShards", func(o *Options) { o.Shards = 0 }, "0 shards"},
		{"NoID", func(o *Options) { o.Self.ID = "" }, "no id"},
		{"NoState", func(o *Options) { o.Self.State = 0 }, "unknown state"},
		{"LongMeta", func(o *Options) { o.Self.API = longestAPI(o.Self) + "x" }, "has 513 bytes, the limit is 512"},
		{"LongText", func(o *Options) { o.Self.API = strings.Repeat("x", 1<<17) }, "the limit is 512"},
		{"LongCluster", func(o *Options) { o.Cluster = strings.Repeat("x", 256) }, "has 256 bytes, the limit is 255"},
		{"Probe", func(o *Options) { o.Probe = -1 }, "negative"},
		{"NoBind", func(o *Options) { o.Bind = "" }, "bind address"},
		{"BindPort", func(o *Options) { o.Bind = "127.0.0.1:65536" }, "below 65536"},
		{"BindTaken", func(o *Options) { o.Bind = taken.address }, "address already in use"},
		{"Advertise", func(o *Options) { o.Advertise = "no host" }, "advertised address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions("a")
			test.change(&o)
			m, err := Start(t.Context(), o)
			if err == nil {
				m.Close()
				t.Fatal("it starts")
			}
			if got := err.Error(); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want it to contain %q", got, test.want)
			}
		})
	}
}

// longestAPI fills up what a member says of itself.
func longestAPI(self placement.Member) string {
	self.API = ""
	return strings.Repeat("x", maxMeta-len(meta{Member: self}.encode()))
}

func TestLongestMetaIsSeen(t *testing.T) {
	t.Parallel()
	a := begin(t, testOptions("a"))
	o := testOptions("b")
	o.Self.API = longestAPI(o.Self)
	o.Seeds = []string{a.address}
	begin(t, o)
	sees(t, a, "a1 joining", "b1 joining")
	if got, want := a.List()[1].API, o.Self.API; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestDelegateJudges(t *testing.T) {
	t.Parallel()
	self := meta{Member: testOptions("a").Self, shards: 1024, format: 1}
	other := meta{Member: testOptions("b").Self, shards: 1024, format: 1}
	odd := other
	odd.shards = 512
	node := func(m meta, state memberlist.NodeStateType) *memberlist.Node {
		return &memberlist.Node{Name: m.name(), Meta: m.encode(), State: state}
	}
	misnamed := node(other, memberlist.StateAlive)
	misnamed.Name = "c#1"
	for _, test := range []struct {
		name    string
		node    *memberlist.Node
		refused bool
		merges  bool
	}{
		{"Like", node(other, memberlist.StateAlive), false, true},
		{"Odd", node(odd, memberlist.StateAlive), true, false},
		{"OddSuspect", node(odd, memberlist.StateSuspect), true, false},
		{"OddDead", node(odd, memberlist.StateDead), true, true},
		{"OddLeft", node(odd, memberlist.StateLeft), true, true},
		{"Misnamed", misnamed, true, false},
		{"NoMeta", &memberlist.Node{Name: "b#1"}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDelegate(newRoster(self), testOptions("a").Logger)
			if got := d.NotifyAlive(test.node) != nil; got != test.refused {
				t.Errorf("refused %v, want %v", got, test.refused)
			}
			if got := d.NotifyMerge([]*memberlist.Node{test.node}) == nil; got != test.merges {
				t.Errorf("merges %v, want %v", got, test.merges)
			}
			d.NotifyJoin(test.node)
			if got, want := len(d.roster.list()) == 1, test.refused; got != want {
				t.Errorf("left out %v, want %v", got, want)
			}
			d.NotifyLeave(test.node)
			if got := len(d.roster.list()); got != 1 {
				t.Errorf("%d are left, want 1", got)
			}
		})
	}
}

func TestRefusedAreBounded(t *testing.T) {
	t.Parallel()
	var log logbook
	d := newDelegate(newRoster(meta{}), log.logger())
	for n := range maxRefused + 1 {
		for range 2 {
			if d.NotifyAlive(&memberlist.Node{Name: fmt.Sprint(n)}) == nil {
				t.Fatal("it is not refused")
			}
		}
	}
	if got, want := log.count("member refused"), maxRefused+1; got != want {
		t.Errorf("logged %d times, want %d", got, want)
	}
	if got, want := len(d.refused), 1; got != want {
		t.Errorf("%d are remembered, want %d", got, want)
	}
}
