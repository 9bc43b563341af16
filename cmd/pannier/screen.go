package main

import (
	"fmt"
	"strings"
)

// The terminal's own words for a frame over the last one: lines that are too long are cut
// while it is written, or they would take a second line that nobody counts.
const (
	wrapOff   = "\x1b[?7l"
	wrapOn    = "\x1b[?7h"
	eraseLine = "\x1b[K" // what is right of the cursor
	eraseDown = "\x1b[J" // what is below it
	upLines   = "\x1b[%dA"
)

// screen draws figures that change: on a terminal each frame over the last one, elsewhere
// one after the other.
type screen struct {
	console console
	redraw  bool
	height  func() int // lines of the terminal, 0 is unknown
	lines   int        // of the last frame
}

func newScreen(c console) *screen {
	return &screen{console: c, redraw: c.interactive(), height: c.height}
}

// draw shows frame, which ends with a line feed. Of a frame higher than the terminal the
// end is left out: what has scrolled away cannot be drawn over.
func (s *screen) draw(frame string) {
	if !s.redraw {
		s.console.print(frame)
		return
	}
	lines := strings.Split(strings.TrimSuffix(frame, "\n"), "\n")
	if height := s.height(); height > 1 && len(lines) >= height {
		lines = lines[:height-1]
	}
	var text strings.Builder
	text.WriteString(wrapOff)
	if s.lines > 0 {
		fmt.Fprintf(&text, upLines, s.lines)
	}
	for _, line := range lines {
		text.WriteString(line + eraseLine + "\n")
	}
	text.WriteString(eraseDown + wrapOn)
	s.console.print(text.String())
	s.lines = len(lines)
}
