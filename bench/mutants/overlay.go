package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// overlay writes a mutant's files below dir and a file for go build -overlay that puts them
// in the place of the product's, which stay untouched. root is the module's.
func overlay(root, dir string, m *mutant) (file string, err error) {
	texts := make(map[string]string)
	for _, e := range m.edits {
		path := filepath.Join(root, e.file)
		text, read := texts[path]
		if !read {
			source, err := os.ReadFile(path) //nolint:gosec // a source file of this module
			if err != nil {
				return "", fmt.Errorf("mutant %q: %w", m.name, err)
			}
			text = string(source)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("mutant %q no longer fits %s: its old text is there %d times", m.name, e.file, n)
		}
		texts[path] = strings.Replace(text, e.old, e.new, 1)
	}
	replaced := make(map[string]string)
	for path, text := range texts {
		copied := filepath.Join(dir, strconv.Itoa(len(replaced))+".go")
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("mutant %q: %w", m.name, err)
		}
		replaced[path] = copied
	}
	document, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", fmt.Errorf("mutant %q: %w", m.name, err)
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, document, 0o600)
}

// moduleRoot finds the folder of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", fmt.Errorf("no go.mod at or above the working directory")
		}
		dir = above
	}
	return "", err
}
