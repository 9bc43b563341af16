package main

import (
	"io"
	"os"
	"strings"
	"unicode"
)

// console is what a command reads and writes: the standard streams, or a test's own.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// interactive tells whether standard output is a terminal that can redraw.
func (c console) interactive() bool {
	file, ok := c.out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable takes out of s what would let a stranger's text steer the terminal: topics,
// excerpts of responses and error texts come from elsewhere.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '�'
		}
		return r
	}, s)
}
