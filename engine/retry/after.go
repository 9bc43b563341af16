package retry

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAfter bounds what a receiver may ask for, before a schedule clamps it: year 9999 must
// not overflow.
const maxAfter = 365 * 24 * time.Hour

// After reads a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP date. A date that
// has passed gives 0, anything beyond a year gives a year; ok is false for anything else,
// negative seconds included.
func After(header string, now time.Time) (d time.Duration, ok bool) {
	header = strings.TrimSpace(header)
	if digits(header) {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(maxAfter/time.Second) {
			return maxAfter, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return max(0, min(at.Sub(now), maxAfter)), true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
