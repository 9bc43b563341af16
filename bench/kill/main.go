// Command kill shows what happens to accepted events when the server is killed with
// SIGKILL under load, again and again: it builds the server, runs bench/fault against it
// and prints the verdict of bench/check. It exits with 1 when a rule is broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"pannier/bench/fault"
)

// faultFree is how long a run without kills is under load.
const faultFree = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "kill: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	rounds := flags.Int("rounds", 20, "lives of the server that end with SIGKILL; 0 is a run without faults")
	seed := flags.Uint64("seed", 0, "repeat the decisions of an earlier run; 0 chooses one")
	keep := flags.String("keep", "", "keep data, logs and history in this new `folder`")
	binary := flags.String("binary", "", "try this `file` instead of building the server")
	maxLife := flags.Duration("max-life", fault.DefaultMaxLife, "the longest life of the server; from 15s on busy topics are promoted")
	quiet := flags.Bool("quiet", false, "do not report each round")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	if *maxLife < fault.DefaultMinLife {
		return fmt.Errorf("--max-life: must be at least %v", fault.DefaultMinLife)
	}
	calm := fault.DefaultCalm
	if *rounds == 0 {
		calm = faultFree / 2 // before and after the kills that there are none of
	}
	if *quiet {
		progress = nil
	}
	dir, done, err := folder(*keep)
	if err != nil {
		return err
	}
	defer done()
	if *binary == "" {
		*binary = filepath.Join(dir, "pannier")
		if err := fault.Build(ctx, *binary); err != nil {
			return err
		}
	}
	result, err := fault.Run(ctx, fault.Config{
		Binary: *binary, Dir: dir, Seed: *seed, Rounds: *rounds, MinLife: fault.DefaultMinLife,
		MaxLife: *maxLife, Calm: calm, Settle: fault.DefaultSettle, Progress: progress,
	})
	if err != nil {
		return fmt.Errorf("seed %d: %w", *seed, err)
	}
	result.Summarise(out)
	if *keep != "" {
		_, _ = fmt.Fprintf(out, "%-12s %s\n", "history", result.History)
	}
	if !result.OK() {
		return errors.New("the server broke its promises")
	}
	return nil
}

// folder makes the run's folder; done removes it unless it is to be kept.
func folder(keep string) (dir string, done func(), err error) {
	if keep != "" {
		if err := os.Mkdir(keep, 0o700); err != nil {
			return "", nil, fmt.Errorf("make the folder: %w", err)
		}
		return keep, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "pannier-kill-"); err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
