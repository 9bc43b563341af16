package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestTheDesignSaysWhatTheProgramPrints: the table of cluster/DESIGN.md is this program's.
func TestTheDesignSaysWhatTheProgramPrints(t *testing.T) {
	t.Parallel()
	var printed bytes.Buffer
	if err := run(&printed); err != nil {
		t.Fatal(err)
	}
	design, err := os.ReadFile("../../cluster/DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	for table := range strings.SplitSeq(printed.String(), "\n\n") {
		if !strings.Contains(string(design), strings.TrimSpace(table)) {
			t.Errorf("cluster/DESIGN.md lacks this table:\n%s", table)
		}
	}
}
