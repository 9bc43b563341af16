package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What a broken cluster of real processes is given to show itself.
const (
	processRounds = 8
	processRate   = 120 // events a second
)

// listedFault is the one under which the lists of what was delivered must be right.
const listedFault = "stop"

// clusterPackage tries a cluster of real processes.
const clusterPackage = "./bench/cluster"

// clusterFinding is how bench/cluster reports what a round broke, and processBroken how it ends.
var clusterFinding = regexp.MustCompile(`(?m)^  BROKEN .*$`)

const processBroken = "cluster: the cluster broke its promises"

// tryProcesses runs a mutant as a cluster of processes under the fault that shows it, until a
// round is broken; the cluster as it is passes a round of each fault.
func (t *trial) tryProcesses(ctx context.Context, b built, v *verdict) error {
	if len(b.wants) > 0 {
		broken, rounds, err := t.rounds(ctx, b, b.fault, processRounds)
		v.pass, v.tries = broken, rounds
		return err
	}
	v.pass = true
	for _, f := range t.faults {
		broken, rounds, err := t.rounds(ctx, b, f, 1)
		if err != nil {
			return err
		}
		v.pass, v.tries = v.pass && !broken, v.tries+rounds
	}
	return nil
}

func (t *trial) rounds(ctx context.Context, b built, f string, most int) (broken bool, rounds int, err error) {
	command := exec.CommandContext(ctx, t.clusterTool, "--binary", b.binary, "--only", f, "--quiet", //nolint:gosec // just built
		"--rounds", strconv.Itoa(most), "--seed", strconv.FormatUint(t.seed, 10), "--rate", strconv.Itoa(processRate),
		"--keep", filepath.Join(b.dir, strings.ReplaceAll(f, " ", "-")), "--listed="+strconv.FormatBool(f == listedFault))
	var out, words bytes.Buffer
	command.Stdout, command.Stderr = &out, &words
	err = command.Run()
	rounds = strings.Count("\n"+out.String(), "\nround ")
	var ended *exec.ExitError
	switch {
	case err == nil:
		return false, rounds, nil
	case errors.As(err, &ended) && strings.Contains(words.String(), processBroken):
		for _, line := range clusterFinding.FindAllString(out.String(), 3) {
			_, _ = fmt.Fprintf(t.progress, "%s, %s:%s\n", b.name, f, strings.TrimPrefix(line, " "))
		}
		return true, rounds, nil
	}
	return false, rounds, fmt.Errorf("try a cluster: %w: %s", err, words.Bytes())
}

// faultsOf are the faults that show mutants, each once.
func faultsOf(chosen []*mutant) (faults []string) {
	for _, m := range chosen {
		if m.fault != "" && !slices.Contains(faults, m.fault) {
			faults = append(faults, m.fault)
		}
	}
	return faults
}

// onProcesses are the mutants that a fault shows on processes, and the control.
func onProcesses(chosen []*mutant) []*mutant {
	return slices.DeleteFunc(chosen, func(m *mutant) bool { return m.fault == "" && len(m.wants) > 0 })
}
