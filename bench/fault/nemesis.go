package fault

import (
	"context"
	"fmt"
	"time"

	"pannier/bench/history"
)

// Shares of the rounds, in per cent.
const (
	earlyKills   = 10 // are followed by a start that is killed during recovery
	gracefulEnds = 10 // are followed by a life that ends with SIGTERM
	longLives    = 10 // are long enough for what is slow to be spilled
)

// longer is added to a long life.
const longer = 5 * time.Second

// kill ends the server with SIGKILL at a random moment of each round and starts it again at
// once.
func (r *run) kill(ctx context.Context) error {
	random := newRandom(r.Seed, "kill")
	if err := r.live(ctx, r.Calm); err != nil {
		return err
	}
	for round := 1; round <= r.Rounds; round++ {
		life := r.MinLife + time.Duration(random.Int64N(int64(r.MaxLife-r.MinLife)+1))
		if random.IntN(100) < longLives {
			life += longer
		}
		if err := r.live(ctx, life); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := r.strike(); err != nil {
			return err
		}
		if random.IntN(100) < earlyKills {
			if err := r.strikeEarly(ctx, time.Duration(random.IntN(250))*time.Millisecond); err != nil {
				return err
			}
		}
		took, err := r.member.start(ctx)
		if err == nil && random.IntN(100) < gracefulEnds {
			err = r.liveAndStop(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		r.result.Restarts = append(r.result.Restarts, took)
		_, _ = fmt.Fprintf(r.Progress, "round %d: killed after %v, ready again in %v\n",
			round, life.Round(time.Millisecond), took.Round(time.Millisecond))
	}
	return nil
}

// strikeEarly starts a process and kills it after a while, ready or not. It may have sent
// something: its recovery is load as well.
func (r *run) strikeEarly(ctx context.Context, after time.Duration) error {
	if _, err := r.member.spawn(); err != nil {
		return err
	}
	if !pause(ctx, after) {
		return ctx.Err()
	}
	return r.strike()
}

// liveAndStop ends the present life gracefully after a while and begins another.
func (r *run) liveAndStop(ctx context.Context, after time.Duration) error {
	if err := r.live(ctx, after); err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	_, err := r.member.start(ctx)
	return err
}

func (r *run) strike() error { return r.ended(history.OpKill, r.member.kill) }

// stop ends the server gracefully.
func (r *run) stop() error { return r.ended(history.OpStop, r.member.stop) }

func (r *run) ended(op history.Op, end func() error) error {
	from := r.log.Now()
	if err := end(); err != nil {
		return err
	}
	to := r.log.Now()
	r.log.Add(history.Record{
		At: to, Role: "fault", Proc: "nemesis", Type: history.Caused, Op: op,
		Fault: &history.Fault{Target: "server", From: from, To: to},
	})
	return nil
}
