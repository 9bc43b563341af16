package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// maxLine bounds one line of a history.
const maxLine = 32 << 20

// Log writes a history. Safe for concurrent use.
type Log struct {
	start time.Time

	mu      sync.Mutex
	file    *os.File
	out     *bufio.Writer
	records []Record
	err     error
}

// Create begins a history in a new file at path; "" keeps it in memory only. Its clock
// begins now.
func Create(path string) (*Log, error) {
	l := &Log{start: time.Now()}
	if path == "" {
		return l, nil
	}
	file, err := os.Create(path) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, fmt.Errorf("create the history: %w", err)
	}
	l.file, l.out = file, bufio.NewWriterSize(file, 1<<16)
	return l, nil
}

// Now is the time of the run.
func (l *Log) Now() time.Duration { return time.Since(l.start) }

// Add appends a record. An error of the file is given by Close.
func (l *Log) Add(r Record) {
	line, err := json.Marshal(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	if err == nil && l.out != nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// Records gives what was added so far, in the order of adding.
func (l *Log) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.records)
}

// Close writes what is buffered.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return l.err
	}
	return errors.Join(l.err, l.out.Flush(), l.file.Close())
}

// Load reads a history, one record a line. A last line that was cut off is an error like
// any other: the harness is never killed.
func Load(in io.Reader) ([]Record, error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 1<<16), maxLine)
	var records []Record
	for line := 1; scanner.Scan(); line++ {
		var r Record
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("history line %d: %w", line, err)
		}
		records = append(records, r)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return records, nil
}
