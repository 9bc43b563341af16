// Command mutants tests the testers: it breaks the engine on purpose, one promise at a
// time, and requires that the fault harness and its checker notice, and the cluster, which
// the simulator and its judge must notice. The product holds no
// code for this: each mutant is a change of source text that is applied while building
// (go build -overlay). It exits with 1 when a mutant survives, when one no longer fits the
// source, or when the engine as it is does not pass.
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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"pannier/bench/check"
	"pannier/bench/fault"
)

// The runs against a mutant: short, and a few of them where luck is needed.
const (
	rounds  = 3
	tries   = 4
	minLife = 700 * time.Millisecond
	maxLife = 1500 * time.Millisecond
	calm    = 400 * time.Millisecond
	settle  = 4 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	short := flags.Bool("short", false, "only those that every engine and cluster of this kind must be tried with")
	cluster := flags.Bool("cluster", false, "only mutants of the cluster")
	processes := flags.Bool("processes", false, "only mutants of the cluster, and on real processes (bench/cluster) instead of the simulator")
	only := flags.String("only", "", "only mutants with this `text` in their name")
	seed := flags.Uint64("seed", 1, "of the first run of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pannier-mutants-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var chosen []*mutant
	if !*cluster && !*processes {
		chosen = choose(mutants, mutant{name: "none: the engine as it is"}, *short, *only)
	}
	chosen = append(chosen, choose(clusterMutants, mutant{name: "none: the cluster as it is", sim: true}, *short, *only)...)
	if *processes {
		chosen = onProcesses(chosen)
	}
	t := trial{root: root, dir: dir, seed: *seed, simSeeds: simSeeds, progress: progress}
	if *short {
		t.simSeeds = simSeedsShort
	}
	if *processes {
		t.faults, t.clusterTool = faultsOf(chosen), filepath.Join(dir, "cluster")
		if err := fault.BuildPackage(ctx, clusterPackage, t.clusterTool); err != nil {
			return err
		}
	}
	return t.all(ctx, chosen, out)
}

// choose picks mutants, and the control that must pass where they must not; none of both when
// no name fits.
func choose(from []mutant, control mutant, short bool, only string) []*mutant {
	chosen := []*mutant{&control}
	for n := range from {
		if m := &from[n]; (m.short || !short) && strings.Contains(m.name, only) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 1 {
		return nil
	}
	return chosen
}

// trial tries mutants one after the other, and builds the next meanwhile.
type trial struct {
	root, dir string
	seed      uint64
	simSeeds  int
	progress  io.Writer
	// Of mutants that are tried on processes: the harness, and the faults of all of them.
	clusterTool string
	faults      []string
}

type built struct {
	*mutant
	dir    string
	binary string
	err    error
}

// verdict is a row of the table.
type verdict struct {
	name   string
	wants  []check.Rule
	broken []check.Rule
	tries  int
	took   time.Duration
	pass   bool
}

func (t *trial) all(ctx context.Context, chosen []*mutant, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	binaries := make(chan built)
	go func() {
		defer close(binaries)
		for n, m := range chosen {
			select {
			case binaries <- t.build(ctx, n, m):
			case <-ctx.Done():
				return
			}
		}
	}()
	var verdicts []verdict
	for b := range binaries {
		v, err := t.try(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		_, _ = fmt.Fprintf(t.progress, "%-28s broken %v in run %d, %v\n", v.name, v.broken, v.tries, v.took.Round(time.Second))
		verdicts = append(verdicts, v)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return table(verdicts, out)
}

func (t *trial) build(ctx context.Context, n int, m *mutant) built {
	b := built{mutant: m, dir: filepath.Join(t.dir, strconv.Itoa(n))}
	b.binary = filepath.Join(b.dir, "pannier")
	if b.err = os.Mkdir(b.dir, 0o700); b.err != nil {
		return b
	}
	var replaced string
	switch replaced, b.err = overlay(t.root, b.dir, m); {
	case b.err != nil:
	case m.sim && t.clusterTool == "":
		b.err = fault.BuildPackage(ctx, simPackage, b.binary, "-overlay", replaced)
	default:
		b.err = fault.Build(ctx, b.binary, "-overlay", replaced)
	}
	return b
}

// try runs a mutant until one of the rules it must break is broken. The engine as it is
// must pass its only run.
func (t *trial) try(ctx context.Context, b built) (verdict, error) {
	v := verdict{name: b.name, wants: b.wants}
	if b.err != nil {
		return v, b.err
	}
	began := time.Now()
	if b.sim {
		try := t.simulate
		if t.clusterTool != "" {
			try = t.tryProcesses
		}
		err := try(ctx, b, &v)
		v.took = time.Since(began)
		return v, err
	}
	config := fault.Config{
		Binary: b.binary, Rounds: rounds, MinLife: minLife, MaxLife: maxLife, Calm: calm, Settle: settle,
	}
	if b.life > 0 {
		config.Rounds, config.MinLife, config.MaxLife = 1, b.life, b.life
	}
	if len(b.wants) == 0 {
		config.Settle = fault.DefaultSettle
	}
	for v.tries < tries && !v.pass {
		config.Seed, config.Dir = t.seed+uint64(v.tries), filepath.Join(b.dir, "run"+strconv.Itoa(v.tries)) //nolint:gosec // a small count
		if err := os.Mkdir(config.Dir, 0o700); err != nil {
			return v, err
		}
		result, err := fault.Run(ctx, config)
		if err != nil {
			return v, err
		}
		v.tries++
		v.broken = result.Broken()
		if len(b.wants) == 0 {
			if v.pass = result.OK(); !v.pass {
				result.Summarise(t.progress)
			}
			break
		}
		v.pass = slices.ContainsFunc(b.wants, func(rule check.Rule) bool { return slices.Contains(v.broken, rule) })
	}
	v.took = time.Since(began)
	return v, nil
}

// table prints the verdicts; it fails when one is not what it must be.
func table(verdicts []verdict, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MUTANT\tMUST BREAK\tBROKE\tRUNS\tVERDICT")
	wrong := 0
	for _, v := range verdicts {
		word := "caught"
		switch {
		case len(v.wants) == 0 && v.pass:
			word = "passes"
		case len(v.wants) == 0:
			word = "DOES NOT PASS"
		case !v.pass:
			word = "SURVIVED"
		}
		if !v.pass {
			wrong++
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", v.name, join(v.wants, " or "), join(v.broken, " "), v.tries, word)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d are not as they must be", wrong, len(verdicts))
	}
	return nil
}

func join(rules []check.Rule, by string) string {
	words := make([]string, len(rules))
	for i, rule := range rules {
		words[i] = string(rule)
	}
	return strings.Join(words, by)
}
