package engine

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// position is where a list goes on: after an accept time and an id.
type position struct {
	milli int64
	id    string
}

func (p position) before(milli int64, id string) bool {
	return p.milli < milli || (p.milli == milli && p.id < id)
}

// cursor makes the opaque text of a position in one kind of list.
func (p position) cursor(list string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "\n" + strconv.FormatInt(p.milli, 10) + "\n" + p.id))
}

// maxCursorBytes bounds a cursor from outside.
const maxCursorBytes = 512

// parseCursor is the inverse of cursor; "" is the start of the list. Errors: invalid.
func parseCursor(list, text string) (position, error) {
	wrong := Invalid("cursor", "is not from this list")
	if text == "" {
		return position{}, nil
	}
	if len(text) > maxCursorBytes {
		return position{}, wrong
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return position{}, wrong
	}
	parts := strings.Split(string(raw), "\n")
	if len(parts) != 3 || parts[0] != list {
		return position{}, wrong
	}
	milli, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || milli < 0 {
		return position{}, wrong
	}
	return position{milli: milli, id: parts[2]}, nil
}
