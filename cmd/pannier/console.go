package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// console is what a command reads and writes: the standard streams, or a test's own.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// print writes text to standard output. Where nobody reads any more the process ends by
// itself; on a full disk what was printed is cut short, which the reader sees.
func (c console) print(text string) { _, _ = io.WriteString(c.out, text) }

// note tells the user something that is not a result.
func (c console) note(text string) { _, _ = io.WriteString(c.err, "pannier: "+text+"\n") }

// interactive tells whether standard output is a terminal that can redraw.
func (c console) interactive() bool {
	file, ok := c.out.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// height is the number of lines of the terminal that standard output is; 0 is unknown.
func (c console) height() int {
	file, ok := c.out.(*os.File)
	if !ok {
		return 0
	}
	_, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return height
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
