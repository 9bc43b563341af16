package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// imports are what one package of the module imports itself, its tests left out.
type imports struct {
	ImportPath string
	Imports    []string
}

// fences say which packages alone may import what: a prefix of an import path, and the
// prefixes of its importers.
var fences = []struct {
	imported string
	by       []string
}{
	{"github.com/asynkron/protoactor-go", []string{"pannier/actors"}},
	{"github.com/dgraph-io/badger", []string{"pannier/storage"}},
	{"github.com/hashicorp/memberlist", []string{"pannier/cluster"}},
	{"go.opentelemetry.io/otel/sdk", []string{"pannier/engine/telemetry"}},
	{"pannier/cmd", nil},
	{"pannier/bench", []string{"pannier/bench"}},
	// The adapters meet in cmd/pannier and do not know each other; the programs of bench drive
	// a server from outside, but for the one package that fills data folders.
	{"pannier/actors", []string{"pannier/cmd"}},
	{"pannier/storage", []string{"pannier/cmd", "pannier/storage", "pannier/bench/fill"}},
	{"pannier/engine/api", []string{"pannier/cmd"}},
	{"pannier/engine/egress", []string{"pannier/cmd", "pannier/engine/egress"}},
	{"pannier/engine/egress/http1", []string{"pannier/engine/egress"}},
	{"pannier/engine/telemetry", []string{"pannier/cmd"}},
}

func TestFences(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list gave %d packages, want the whole module", len(packages))
	}
	for _, p := range packages {
		for _, imported := range p.Imports {
			for _, fence := range fences {
				if under(imported, fence.imported) && !underAny(p.ImportPath, fence.by) {
					t.Errorf("%s imports %s: only %v may", p.ImportPath, imported, fence.by)
				}
			}
			if leaf(p.ImportPath) && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s: the leaves know the standard library alone", p.ImportPath, imported)
			}
		}
	}
}

func leaf(path string) bool {
	return underAny(path, []string{
		"pannier/engine/match", "pannier/engine/retry", "pannier/engine/signature", "pannier/engine/egress/http1",
	})
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func underAny(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if under(path, prefix) {
			return true
		}
	}
	return false
}

func listPackages(t *testing.T) []imports {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "pannier/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []imports
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p imports
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
