package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPlainHead(t *testing.T) {
	t.Parallel()
	const noBody = "\r\nContent-Length: 0\r\n\r\n"
	tests := []struct {
		name, answer string
		plain        bool
	}{
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"no reason", "HTTP/1.1 200" + noBody, true},
		{"body", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc", true},
		{"names in any case", "HTTP/1.1 200 OK\r\ncONTENT-lENGTH: 0\r\nCONNECTION: Close\r\n\r\n", true},
		{"throttled", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120" + noBody, true},
		{"kept", "HTTP/1.1 200 OK\r\nConnection: keep-alive" + noBody, true},
		{"informational", "HTTP/1.1 100 Continue\r\n\r\n", false},
		{"another version", "HTTP/1.0 200 OK" + noBody, false},
		{"four digits", "HTTP/1.1 2000 OK" + noBody, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", false},
		{"up to the end", "HTTP/1.1 200 OK\r\n\r\nabc", false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0" + noBody, false},
		{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n", false},
		{"length past its bound", "HTTP/1.1 200 OK\r\nContent-Length: 0000000000000000001\r\n\r\na", false},
		{"folded", "HTTP/1.1 200 OK\r\nX-A: b\r\n c" + noBody, false},
		{"tab", "HTTP/1.1 200 OK\r\nX-A: b\tc" + noBody, false},
		{"bare line feed", "HTTP/1.1 200 OK\nX-A: b" + noBody, false},
		{"name with a space", "HTTP/1.1 200 OK\r\nContent-Length : 0" + noBody, false},
		{"no colon", "HTTP/1.1 200 OK\r\nX-A" + noBody, false},
		{"upgrade", "HTTP/1.1 200 OK\r\nConnection: upgrade" + noBody, false},
		{"not at its end", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := compareHeads(t, test.answer); got != test.plain {
				t.Errorf("plain is %v, want %v", got, test.plain)
			}
		})
	}
}

func FuzzPlainHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 20:00:00 GMT\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 ")
	f.Add("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	f.Add("HTTP/1.1 204 \r\nContent-Length: 7\r\n\r\n")
	f.Add("HTTP/1.1 304 x\r\nTrailer: a\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) { compareHeads(t, answer) })
}

// compareHeads fails where net/http's parser finds something else in a plain head.
func compareHeads(t *testing.T, answer string) (plain bool) {
	t.Helper()
	reader := bufio.NewReaderSize(strings.NewReader(answer), 1<<10)
	_, _ = reader.Peek(1)
	got, plain := readPlainHead(reader)
	if !plain {
		if rest, _ := io.ReadAll(reader); string(rest) != answer {
			t.Fatalf("%q: %q is left of what is no plain head", answer, rest)
		}
		return false
	}
	theirs := bufio.NewReaderSize(strings.NewReader(answer), 1<<10)
	want, err := http.ReadResponse(theirs, post)
	if err != nil {
		t.Fatalf("%q: plain, but %v", answer, err)
	}
	if got.status != want.StatusCode || got.close != want.Close || got.retryAfter != want.Header.Get("Retry-After") {
		t.Fatalf("%q: got %+v, want %+v", answer, got, want)
	}
	wantBody, wantErr := io.ReadAll(want.Body)
	var body []byte
	if got.body != nil {
		body, err = io.ReadAll(got.body)
	}
	if string(body) != string(wantBody) || err != wantErr { //nolint:errorlint // the same one
		t.Fatalf("%q: body %q, %v; want %q, %v", answer, body, err, wantBody, wantErr)
	}
	if rest, _ := io.ReadAll(reader); len(rest) != buffered(theirs) {
		t.Fatalf("%q: %q is left, want %d bytes", answer, rest, buffered(theirs))
	}
	return true
}

func buffered(reader *bufio.Reader) int {
	rest, _ := io.ReadAll(reader)
	return len(rest)
}
