package main

import (
	"fmt"
	"strings"
)

// screen draws figures that change: on a terminal each frame over the last one, elsewhere
// one after the other.
type screen struct {
	console console
	redraw  bool
	lines   int // of the last frame
}

func newScreen(c console) *screen { return &screen{console: c, redraw: c.interactive()} }

// draw shows frame, which ends with a line feed.
func (s *screen) draw(frame string) {
	if s.redraw && s.lines > 0 {
		// Up to the first line of the last frame, then clear to the end of the screen.
		fmt.Fprintf(s.console.out, "\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Fprint(s.console.out, frame)
	s.lines = strings.Count(frame, "\n")
}
