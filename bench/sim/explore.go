package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// explorer goes through one scenario, depth first.
type explorer struct {
	scenario
	// visited are the states that were reached, and with how many delays left.
	visited map[[explored]uint64]int
	runs    int
	broken  error
	took    time.Duration
}

func explore(s scenario) *explorer {
	began := time.Now()
	e := &explorer{scenario: s, visited: make(map[[explored]uint64]int)}
	e.visit(s.start(), nil, s.delays)
	e.took = time.Since(began)
	return e
}

// visit goes on from a state in every way that is left. w is in that state.
func (e *explorer) visit(w *world, path []choice, left int) {
	choices, x := e.choices(w), *w.exploring
	over := len(choices) == 0 || (choices[0].kind != goOn && choices[0].kind != passTime)
	if over {
		e.end(w, path)
		w = nil
	}
	for n, c := range choices {
		after, cost := x, 0
		if c.kind == goOn && n > 0 {
			cost = 1
		}
		e.note(&after, c)
		before, known := e.visited[after.histories]
		if e.broken != nil || cost > left || (known && before >= left-cost) {
			continue
		}
		e.visited[after.histories] = left - cost
		if w == nil {
			w = e.again(path)
		}
		e.choose(w, c)
		further := append(slices.Clip(path), c)
		if w.judge.verdict != nil {
			e.find(w.judge.verdict, further)
			return
		}
		e.visit(w, further, left-cost)
		w = nil
	}
}

// again does what led to a state.
func (e *explorer) again(path []choice) *world {
	w := e.start()
	for _, c := range path {
		e.choose(w, c)
	}
	return w
}

// end lets what went wrong last until it was noticed, heals it, and checks that both events
// arrive. One that was not answered may be gone with the member that took it.
func (e *explorer) end(w *world, path []choice) {
	e.runs++
	if e.arrived(w) {
		return
	}
	x := w.exploring
	w.exploring = nil
	if x.crashed || x.cut {
		w.runFor(5 * time.Second)
	}
	w.heal()
	for range 60 {
		if e.arrived(w) || w.judge.verdict != nil {
			break
		}
		w.runFor(time.Second)
	}
	if w.judge.verdict == nil && !e.arrived(w) {
		w.judge.find(ruleLost, "an event did not arrive after everything had healed")
	}
	if w.judge.verdict != nil {
		e.find(w.judge.verdict, path)
	}
}

func (e *explorer) arrived(w *world) bool {
	for n := range w.events {
		event := uint32(n)
		p := w.judge.promised[event]
		if p == nil && n != e.crashes {
			return false
		}
		if p != nil && len(w.judge.waitsFor(p)) > 0 {
			return false
		}
	}
	return true
}

func (e *explorer) find(broken error, path []choice) {
	if e.broken == nil {
		e.broken = fmt.Errorf("%v: after %+v: %w", e.scenario, path, broken)
	}
}

// bounds are the delays, and how often time passes.
type bounds struct{ delays, passes int }

// scenarios are what is explored: only orders, each crash and each partition alone, and each of
// one with each of the other.
func scenarios(short bool) (all []scenario) {
	orders, one, both := bounds{4, 0}, bounds{2, 0}, bounds{1, 0}
	if short {
		orders, one, both = bounds{2, 0}, bounds{0, 0}, bounds{0, 0}
	}
	for crashes := -1; crashes < explored; crashes++ {
		for alone := -1; alone < explored; alone++ {
			if short && crashes == alone && crashes >= 0 {
				continue
			}
			s := scenario{crashes: crashes, alone: alone, bounds: both}
			switch {
			case crashes < 0 && alone < 0:
				s.bounds = orders
			case crashes < 0 || alone < 0:
				s.bounds = one
			}
			all = append(all, s)
		}
	}
	return all
}

// String says what goes wrong.
func (s scenario) String() string {
	name := func(n int) string {
		if n < 0 {
			return "nobody"
		}
		return fmt.Sprintf("mem_%d", n)
	}
	return fmt.Sprintf("%s crashes, %s is cut off; delays %d, ticks %d", name(s.crashes), name(s.alone), s.delays, s.passes)
}

// exploreAll explores every scenario and sums up.
func exploreAll(short bool, out io.Writer) error {
	began := time.Now()
	all := scenarios(short)
	explorers := make([]chan *explorer, len(all))
	slots := make(chan struct{}, runtime.NumCPU())
	for n, s := range all {
		explorers[n] = make(chan *explorer, 1)
		go func() {
			slots <- struct{}{}
			explorers[n] <- explore(s)
			<-slots
		}()
	}
	states, runs := 0, 0
	for n := range all {
		e := <-explorers[n]
		if e.broken != nil {
			return e.broken
		}
		states += len(e.visited)
		runs += e.runs
		if _, err := fmt.Fprintf(out, "%-55v %8d states %7d runs %6.1f s\n", e.scenario, len(e.visited), e.runs, e.took.Seconds()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d states, %d complete runs, every event arrived, in %.1f s\n", states, runs, time.Since(began).Seconds())
	return err
}
