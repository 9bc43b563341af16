package egress

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pannier/engine"
)

const (
	// bodyPatience is how long a response's body may take after its headers.
	bodyPatience = time.Second
	// drainBytes is how much of a body is read so that its connection can be used again;
	// with more to come a new connection is cheaper.
	drainBytes = 4 << 10
)

// readExcerpt reads what is kept of a body, within what is left of the deadline and
// bodyPatience, and closes it. Errors do not matter: the outcome stands already. cancel
// ends the request.
func readExcerpt(response *http.Response, cancel context.CancelFunc) string {
	body := response.Body
	defer body.Close() //nolint:errcheck // nothing follows from it
	if body == http.NoBody || response.StatusCode == http.StatusSwitchingProtocols {
		return ""
	}
	timer := time.AfterFunc(bodyPatience, cancel)
	defer timer.Stop()
	beginning, _ := io.ReadAll(io.LimitReader(body, drainBytes))
	return excerpt(beginning)
}

// excerpt makes raw safe to show: valid UTF-8 of at most MaxResponseBody bytes in which
// whatever a terminal or a page would act on (control characters, escape sequences,
// direction marks) is replaced.
func excerpt(raw []byte) string {
	raw = raw[:min(len(raw), engine.MaxResponseBody)]
	var text strings.Builder
	text.Grow(len(raw))
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(raw) {
			break // the cut went through a character
		}
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if text.Len()+utf8.RuneLen(r) > engine.MaxResponseBody {
			break
		}
		text.WriteRune(r)
		raw = raw[size:]
	}
	return text.String()
}
