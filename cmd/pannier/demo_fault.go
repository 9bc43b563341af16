package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// demoFault is what happens to one member. Safe for concurrent use.
//
//	0        1/3 of the duration      2/3                 end
//	├──────────────┼────────────────────┼──────────────────┤
//	            kill -9       back on the same folder
type demoFault struct {
	victim *demoMember

	mu       sync.Mutex
	killedAt time.Time // zero: not yet
	backAt   time.Time // when it answered again; zero: not yet
	told     []string  // for people
}

// planFault chooses the member that delivers to the healthy receiver: there a pause shows.
func (d *clusterDemo) planFault(ctx context.Context) (*demoFault, error) {
	healthy := d.receivers[0]
	var subscription struct{ Owner string }
	if _, err := d.api.get(ctx, pathOf("subscriptions", healthy.id), nil, &subscription); err != nil {
		return nil, err
	}
	seen, err := d.look(ctx)
	if err == nil {
		err = seen.identify(d.members)
	}
	if err != nil {
		return nil, err
	}
	for _, m := range d.members {
		if m.id == subscription.Owner {
			return &demoFault{victim: m}, nil
		}
	}
	return nil, fmt.Errorf("no member owns the %s receiver's subscription", healthy.name)
}

// strike kills the member and brings it back, unless ctx ends before; a start that has begun
// then goes on until whole ends.
func (f *demoFault) strike(ctx, whole context.Context, after time.Duration) error {
	if !pause(ctx, after) {
		return nil
	}
	f.tell(fmt.Sprintf("%s, which delivers to the healthy receiver, is killed: kill -9 %d", f.victim.name, f.victim.pid()))
	f.mu.Lock()
	f.killedAt = time.Now()
	f.mu.Unlock()
	if err := f.victim.kill(); err != nil {
		return err
	}
	if !pause(ctx, after) {
		return nil
	}
	return f.bringBack(whole)
}

// bringBack starts the member again, if it is down because of the demo. How long it then joins
// is watched by settle.
func (f *demoFault) bringBack(ctx context.Context) error {
	if killedAt, backAt := f.times(); killedAt.IsZero() || !backAt.IsZero() {
		return nil
	}
	f.tell(f.victim.name + " comes back on the same data folder")
	if err := f.victim.start(); err != nil {
		return err
	}
	if err := f.victim.await(ctx, memberLives); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backAt = time.Now()
	return nil
}

func (f *demoFault) times() (killedAt, backAt time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killedAt, f.backAt
}

func (f *demoFault) tell(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, text)
}

// story is what was told so far.
func (f *demoFault) story() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clip(f.told)
}
