package match

import (
	"errors"
	"fmt"
	"strings"
)

// The bounds of a topic.
const (
	maxTopicBytes    = 128
	maxTopicSegments = 16
)

// ParseTopic checks a topic: 1 to 128 bytes, at most 16 segments of letters, digits, dashes
// and underscores, split by single dots. The error's text is written for a user.
func ParseTopic(s string) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > maxTopicBytes:
		return fmt.Errorf("must have at most %d bytes", maxTopicBytes)
	case strings.Count(s, ".") >= maxTopicSegments:
		return fmt.Errorf("must have at most %d segments", maxTopicSegments)
	}
	inSegment := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && !inSegment:
			return errors.New("must not have an empty segment")
		case c == '.':
			inSegment = false
		case !segmentByte(c):
			return errors.New("may only have letters, digits, dashes and underscores between single dots")
		default:
			inSegment = true
		}
	}
	if !inSegment {
		return errors.New("must not end with a dot")
	}
	return nil
}

func segmentByte(c byte) bool {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'
}
