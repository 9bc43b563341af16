package actors_test

import (
	"sync/atomic"
	"time"

	"pannier/engine"
)

// receivers are the endpoints of a drawn history: each behaves as it was last told to.
type receivers struct {
	subs  []engine.SubscriptionID
	modes []*atomic.Value
	takes time.Duration // of every delivery that goes well
}

func (r *receivers) add(id engine.SubscriptionID) {
	mode := new(atomic.Value)
	mode.Store("recover")
	r.subs, r.modes = append(r.subs, id), append(r.modes, mode)
}

func (r *receivers) receive(p pair, number int) engine.Result {
	for n, sub := range r.subs {
		if sub != p.sub {
			continue
		}
		switch r.modes[n].Load() {
		case "fail":
			return failing(p, number)
		case "slow":
			time.Sleep(150 * time.Millisecond)
		case "hang":
			time.Sleep(8 * time.Second)
		}
	}
	time.Sleep(r.takes)
	return succeeding(p, number)
}
