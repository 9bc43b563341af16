package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pannier/bench/check"
)

// Every mutant still fits the source, changes it, and is Go.
func TestMutantsFitTheSource(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	all := slices.Concat(mutants, clusterMutants)
	for n := range all {
		m := &all[n]
		if m.short && !m.sim {
			short++
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if m.why == "" || len(m.wants) == 0 || len(m.edits) == 0 {
				t.Error("the mutant does not say what it does, why, and what must notice")
			}
			file, err := overlay(root, t.TempDir(), m)
			if err != nil {
				t.Fatal(err)
			}
			for path, copied := range replacements(t, file) {
				if _, err := parser.ParseFile(token.NewFileSet(), copied, nil, parser.SkipObjectResolution); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	}
	if short != 6 {
		t.Errorf("the short run has %d mutants of one member, want six", short)
	}
}

func replacements(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Replace
}

func TestOverlayRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("package a // twice twice once"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{"once": true, "twice": false, "never": false}
	for old, fits := range tests {
		m := &mutant{name: old, edits: []edit{{file: "a.go", old: old, new: "x"}}}
		file, err := overlay(root, t.TempDir(), m)
		if (err == nil) != fits {
			t.Errorf("overlay of %q: %v", old, err)
		}
		if err != nil {
			continue
		}
		for _, copied := range replacements(t, file) {
			if text, err := os.ReadFile(copied); err != nil || string(text) != "package a // twice twice x" {
				t.Errorf("the copy holds %q, %v", text, err)
			}
		}
	}
}

func TestTableFailsForASurvivor(t *testing.T) {
	t.Parallel()
	caught := verdict{name: "a", wants: []check.Rule{check.NoLoss}, broken: []check.Rule{check.NoLoss}, pass: true}
	survivor := verdict{name: "b", wants: []check.Rule{check.Silence}}
	var out strings.Builder
	if err := table([]verdict{caught}, &out); err != nil {
		t.Errorf("table of a caught mutant: %v", err)
	}
	if err := table([]verdict{caught, survivor}, &out); err == nil {
		t.Error("a survivor is no error")
	}
	if !strings.Contains(out.String(), "SURVIVED") {
		t.Errorf("the table does not name the survivor:\n%s", out.String())
	}
}

func TestSimulatorsFindingIsRead(t *testing.T) {
	t.Parallel()
	found := simFinding.FindStringSubmatch("sim: seed 17, 5 members, replication 3, after 61.323 s: I3: mem_3 dropped: all\n")
	if len(found) != 4 || found[1] != "17" || found[2] != "I3" || found[3] != "mem_3 dropped: all" {
		t.Errorf("read %q", found)
	}
}
