package storage

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pannier/engine"
)

// gate is a commit that waits until it is let through.
type gate struct {
	began   chan []change
	through chan error
}

func newGate() *gate { return &gate{began: make(chan []change), through: make(chan error)} }

func (g *gate) commit(changes []change) error {
	g.began <- changes
	return <-g.through
}

func refuseFatal(t *testing.T) func(error) {
	t.Helper()
	return func(err error) { t.Errorf("fatal: %v", err) }
}

func writeOf(changes, size int, done func()) write {
	return write{changes: make([]change, changes), size: size, done: done}
}

func TestCommitterGathersWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		observed := []int{}
		c := newCommitter(g.commit, refuseFatal(t), func(_ time.Duration, changes int) { observed = append(observed, changes) })
		var done []int
		queue := func(n, changes, size int) {
			if err := c.write(writeOf(changes, size, func() { done = append(done, n) })); err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		}
		groups := []struct {
			name string
			want int // changes
			then func()
		}{
			{"the first goes alone", 1, func() {
				queue(1, 2, 10)
				queue(2, 0, 0)
				queue(3, 3, MaxWriteBytes-10)
				queue(4, 1, 1)
				queue(5, MaxWriteChanges-1, 1)
				queue(6, 1, 1)
			}},
			{"all that fits in bytes goes together", 5, nil},
			{"all that fits in number goes together", MaxWriteChanges, nil},
			{"the rest follows", 1, nil},
		}
		queue(0, 1, 1)
		for _, group := range groups {
			if got := len(<-g.began); got != group.want {
				t.Errorf("%s: %d changes, want %d", group.name, got, group.want)
			}
			if group.then != nil {
				group.then()
			}
			g.through <- nil
		}
		c.close()
		if want := []int{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(done, want) {
			t.Errorf("done in order %v, want %v", done, want)
		}
		if want := []int{1, 5, MaxWriteChanges, 1}; !slices.Equal(observed, want) {
			t.Errorf("observed %v, want %v", observed, want)
		}
		if got := c.commits.Load(); got != 4 {
			t.Errorf("%d commits, want 4", got)
		}
	})
}

func TestCommitterWithoutChangesCommitsNothing(t *testing.T) {
	t.Parallel()
	c := newCommitter(func([]change) error { t.Error("a commit"); return nil }, refuseFatal(t), nil)
	done := make(chan struct{})
	if err := c.write(write{done: func() { close(done) }}); err != nil {
		t.Fatal(err)
	}
	<-done
	c.close()
}

func TestCommitterBlocksPastItsBounds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		changes, size int
		fit           int
	}{
		{"bytes", 1, MaxWriteBytes, QueueBytes / MaxWriteBytes},
		{"changes", MaxWriteChanges, 1, QueueChanges / MaxWriteChanges},
		{"writes without changes", 0, 0, QueueChanges},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				c := newCommitter(g.commit, refuseFatal(t), nil)
				if err := c.write(writeOf(1, 1, nil)); err != nil {
					t.Fatal(err)
				}
				<-g.began // this one has left the queue
				for range test.fit {
					if err := c.write(writeOf(test.changes, test.size, nil)); err != nil {
						t.Fatal(err)
					}
				}
				blocked := make(chan error, 1)
				go func() { blocked <- c.write(writeOf(test.changes, test.size, nil)) }()
				synctest.Wait()
				select {
				case err := <-blocked:
					t.Fatalf("one past the bound did not wait: %v", err)
				default:
				}
				go func() {
					for range g.began {
						g.through <- nil
					}
				}()
				g.through <- nil
				if err := <-blocked; err != nil {
					t.Errorf("after there was room: %v", err)
				}
				c.close()
				close(g.began)
			})
		})
	}
}

func TestCommitterRefusesTheBlockedWhenItCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		c := newCommitter(g.commit, refuseFatal(t), nil)
		for i := range 2 + QueueChanges/MaxWriteChanges {
			go func() {
				err := c.write(writeOf(MaxWriteChanges, 1, nil))
				if err != nil && engine.ErrorCode(err) != engine.CodeUnavailable {
					t.Errorf("write %d: %v", i, err)
				}
			}()
		}
		<-g.began
		synctest.Wait()
		go func() {
			for range g.began {
				g.through <- nil
			}
		}()
		go func() { g.through <- nil }()
		c.close()
		close(g.began)
		if err := c.write(writeOf(0, 0, nil)); engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Errorf("write after close: %v, want unavailable", err)
		}
	})
}

func TestFailedCommitAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		broken := errors.New("disk on fire")
		fatal := make(chan error, 2)
		c := newCommitter(g.commit, func(err error) { fatal <- err }, nil)
		for range 3 {
			if err := c.write(writeOf(1, 1, func() { t.Error("done called") })); err != nil {
				t.Fatal(err)
			}
		}
		<-g.began
		g.through <- broken
		if err := <-fatal; !errors.Is(err, broken) {
			t.Errorf("fatal(%v), want %v", err, broken)
		}
		if err := c.write(writeOf(1, 1, nil)); engine.ErrorCode(err) != engine.CodeUnavailable {
			t.Errorf("write after the failure: %v, want unavailable", err)
		}
		c.close()
		if len(fatal) != 0 || c.commits.Load() != 0 {
			t.Errorf("%d more fatal calls, %d commits", len(fatal), c.commits.Load())
		}
	})
}

func TestFailedMarkStopsACommitUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		fatal := make(chan error, 2)
		c := newCommitter(g.commit, func(err error) { fatal <- err }, nil)
		if err := c.write(writeOf(1, 1, func() { t.Error("done called") })); err != nil {
			t.Fatal(err)
		}
		<-g.began
		c.fail(errors.New("sync failed"))
		g.through <- nil
		c.close()
		if len(fatal) != 1 {
			t.Errorf("fatal was called %d times, want once", len(fatal))
		}
	})
}
