// Package fault runs a real server under load, kills it with SIGKILL again and again, and
// has bench/check judge what happened. Publishers, administrators, receivers and the final
// reader live in this process and write one history with one clock; the server is a child
// process on loopback. Everything is bounded in count and time. One seed decides the
// workload and the moments of the kills; what the machine makes of it differs from run to
// run.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pannier/bench/check"
	"pannier/bench/history"
)

// Config says how to run.
type Config struct {
	Binary string // the server to be tried
	Dir    string // an empty folder for data, logs and history
	Seed   uint64
	Rounds int // lives of the server that end with SIGKILL; 0 is a run without faults
	// MinLife and MaxLife bound how long the server lives before a kill, from its readiness.
	MinLife, MaxLife time.Duration
	// Calm is how long the workload goes on before the first and after the last kill.
	Calm time.Duration
	// Settle bounds the wait for the last delivery, from when the last one ended.
	Settle time.Duration
	// Progress is told about every round; nil: nobody is.
	Progress io.Writer
}

// The defaults of Config.
const (
	DefaultMinLife = 300 * time.Millisecond
	DefaultMaxLife = 2500 * time.Millisecond
	DefaultCalm    = 1500 * time.Millisecond
	DefaultSettle  = 30 * time.Second
)

const (
	// maxSettle bounds the whole wait for the last delivery.
	maxSettle = 15 * time.Minute
	// maxRounds bounds a run.
	maxRounds = 10_000
	// resettle bounds the wait after the last restart, when nothing should be left to do.
	resettle = 15 * time.Second
)

// Result is what a run found.
type Result struct {
	*check.Report
	Seed     uint64
	Rounds   int
	Settled  bool            // nothing was pending before the last restart
	Restarts []time.Duration // from the start of the process to its readiness, after each kill
	Took     time.Duration
	History  string // its file
}

// run is one run under way.
type run struct {
	Config
	log    *history.Log
	member *member
	client *client
	sites  *sites
	work   *workload
	result Result
}

// Run makes a run and judges it. An error means that there is no verdict: the server did
// not start, ended by itself, or could not be read at the end.
func Run(ctx context.Context, config Config) (*Result, error) {
	if config.Rounds > maxRounds {
		return nil, fmt.Errorf("at most %d rounds", maxRounds)
	}
	if config.Progress == nil {
		config.Progress = io.Discard
	}
	r := &run{Config: config}
	r.result = Result{Seed: config.Seed, Rounds: config.Rounds, History: filepath.Join(config.Dir, "history.jsonl")}
	var err error
	if r.log, err = history.Create(r.result.History); err != nil {
		return nil, err
	}
	err = r.all(ctx)
	r.result.Took = r.log.Now()
	if err = errors.Join(err, r.log.Close()); err != nil {
		return nil, err
	}
	r.result.Report, err = check.Check(r.log.Records())
	if err != nil {
		return nil, fmt.Errorf("judge the history: %w", err)
	}
	return &r.result, nil
}

func (r *run) all(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.sites, err = openSites(ctx, r.log, r.Seed); err != nil {
		return err
	}
	defer r.sites.close()
	if r.member, err = newMember(r.Binary, r.Dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.member.close()) }()
	if _, err := r.member.start(ctx); err != nil {
		return err
	}
	r.client = newClient(r.member)
	r.work = &workload{log: r.log, client: r.client, sites: r.sites, seed: r.Seed}
	if err := r.underLoad(ctx); err != nil {
		return err
	}
	if r.result.Settled, err = r.settle(ctx, r.Settle); err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	if _, err := r.member.start(ctx); err != nil {
		return err
	}
	if _, err := r.settle(ctx, resettle); err != nil {
		return err
	}
	return r.read(ctx)
}

// underLoad runs the workload and the kills.
func (r *run) underLoad(ctx context.Context) error {
	if err := r.work.prepare(ctx); err != nil {
		return err
	}
	loaded, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	for _, part := range r.work.parts() {
		working.Go(func() { part(loaded) })
	}
	err := r.kill(ctx)
	if err == nil {
		err = r.live(ctx, r.Calm)
	}
	stop()
	working.Wait()
	r.sites.heal()
	if err != nil {
		return err
	}
	r.work.enableAll(ctx)
	return nil
}

// settle waits until nothing is pending, as long as it becomes less within patience.
func (r *run) settle(ctx context.Context, patience time.Duration) (bool, error) {
	const quiet = 3 // looks in a row: a restart may still be counting
	still, least := 0, uint64(math.MaxUint64)
	end, last := r.log.Now()+patience, r.log.Now()+maxSettle
	for r.log.Now() < min(end, last) {
		stats, err := r.client.stats(ctx)
		if err != nil {
			return false, fmt.Errorf("wait for the last delivery: %w", err)
		}
		if stats.Pending < least {
			least, end = stats.Pending, r.log.Now()+patience
		}
		if still++; stats.Pending != 0 {
			still = 0
		}
		if still == quiet {
			return true, nil
		}
		if err := r.live(ctx, 200*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

// live lets time pass while the server runs.
func (r *run) live(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.member.exited():
		return fmt.Errorf("the server ended by itself: %s", r.member.lastWords())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause lets time pass; it reports false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// laneFile configures a dedicated lane, so that batches span journals, and has bursts
// promoted to lanes of their own on the way.
const laneFile = `auto_promote_rate: 15
lanes:
  - name: positions
    topics: ["vehicle.position"]
    window_share: 0.5
`

func writeLanes(dir string) (string, error) {
	path := filepath.Join(dir, "pannier.yaml")
	if err := os.WriteFile(path, []byte(laneFile), 0o600); err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	return path, nil
}
