package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"

	"pannier/bench/check"
)

// The seeds that a broken cluster is given to show itself, and that the cluster as it is must
// pass. The short run is made of mutants that show themselves soon.
const (
	simSeeds      = 500
	simSeedsShort = 100
)

// simPackage is what mutants of the cluster are built into.
const simPackage = "./bench/sim"

// simFinding is how the simulator reports a broken rule.
var simFinding = regexp.MustCompile(`(?m)^sim: seed (\d+), .* s: (\w+): (.*)$`)

// simulate runs a mutant's simulator until it finds something; v.tries is the seed then.
func (t *trial) simulate(ctx context.Context, b built, v *verdict) error {
	arguments := []string{"--seed", "1", "--seeds", strconv.Itoa(t.simSeeds), "--workers", strconv.Itoa(runtime.NumCPU())}
	command := exec.CommandContext(ctx, b.binary, arguments...) //nolint:gosec // just built
	var words bytes.Buffer
	command.Stderr = &words
	err := command.Run()
	if err == nil {
		v.tries, v.pass = t.simSeeds, len(b.wants) == 0
		return nil
	}
	var ended *exec.ExitError
	found := simFinding.FindStringSubmatch(words.String())
	if !errors.As(err, &ended) || found == nil {
		return fmt.Errorf("run the simulator: %w: %s", err, words.Bytes())
	}
	v.tries, _ = strconv.Atoi(found[1])
	v.broken = []check.Rule{check.Rule(found[2])}
	for _, rule := range b.wants {
		v.pass = v.pass || rule == v.broken[0]
	}
	if !v.pass {
		_, _ = fmt.Fprintf(t.progress, "%s: %s\n", b.name, words.Bytes())
	}
	return nil
}
