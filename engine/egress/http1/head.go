package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// head is what a response says before its body.
type head struct {
	status     int
	retryAfter string
	close      bool      // the server will close the connection
	body       io.Reader // nil: there is none
}

// readHead reads up to the end of the headers of the final response.
func readHead(reader *bufio.Reader) (head, error) {
	for {
		_, err := reader.Peek(1)
		if h, ok := readPlainHead(reader); ok {
			return h, nil
		}
		var response *http.Response
		if err == nil {
			response, err = http.ReadResponse(reader, post) //nolint:bodyclose // Close would read all of it; see readBody
		}
		switch {
		case errors.Is(err, io.EOF):
			return head{}, io.ErrUnexpectedEOF
		case err != nil:
			return head{}, fmt.Errorf("read the response: %w", err)
		case response.StatusCode >= 100 && response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols:
			continue // informational; MaxHeaderBytes bounds how many
		}
		h := head{status: response.StatusCode, retryAfter: response.Header.Get("Retry-After"), close: response.Close}
		if response.Body != http.NoBody {
			h.body = response.Body
		}
		return h, nil
	}
}

// maxLengthDigits keeps a Content-Length below what an int64 holds.
const maxLengthDigits = 18

// readPlainHead reads what nearly every endpoint answers: one head that came in one piece, of
// HTTP/1.1, with a Content-Length and nothing out of the ordinary. It takes a third of the time of
// net/http's parser, for it makes no map. Where ok is false it has read nothing, and that one
// decides; where it is true both agree (FuzzPlainHead).
func readPlainHead(reader *bufio.Reader) (_ head, ok bool) {
	buffered, _ := reader.Peek(reader.Buffered()) // never fails: that much is there
	end := bytes.Index(buffered, []byte("\r\n\r\n"))
	if end < 0 {
		return head{}, false
	}
	h, length, ok := parsePlainHead(buffered[:end+2])
	if !ok {
		return head{}, false
	}
	_, _ = reader.Discard(end + 4)
	if length > 0 && h.status != http.StatusNoContent && h.status != http.StatusNotModified {
		h.body = &exactly{reader: reader, left: length}
	}
	return h, true
}

// parsePlainHead parses a status line and headers, each with its line break.
func parsePlainHead(b []byte) (h head, length int64, ok bool) {
	line, b, _ := bytes.Cut(b, []byte("\r\n"))
	const version, status = "HTTP/1.1 ", "HTTP/1.1 200"
	if len(line) < len(status) || string(line[:len(version)]) != version || !isPlain(line) ||
		len(line) > len(status) && line[len(status)] != ' ' {
		return head{}, 0, false
	}
	if h.status, ok = digits(line[len(version):len(status)]); !ok || h.status < http.StatusOK {
		return head{}, 0, false
	}
	length = -1
	for len(b) > 0 {
		line, b, _ = bytes.Cut(b, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isName(name) || !isPlain(value) || !h.take(name, bytes.Trim(value, " "), &length) {
			return head{}, 0, false
		}
	}
	return h, length, length >= 0 || h.status == http.StatusNoContent || h.status == http.StatusNotModified
}

// take takes in a header that matters. It tells whether the head is still a plain one.
func (h *head) take(name, value []byte, length *int64) bool {
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, ok := digits(value)
		if !ok || *length >= 0 {
			return false
		}
		*length = int64(n)
	case bytes.EqualFold(name, []byte("Connection")):
		if bytes.EqualFold(value, []byte("close")) {
			h.close = true
			return true
		}
		return bytes.EqualFold(value, []byte("keep-alive"))
	case bytes.EqualFold(name, []byte("Retry-After")):
		if len(value) == 0 {
			return false
		}
		if h.retryAfter == "" {
			h.retryAfter = string(value)
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")), bytes.EqualFold(name, []byte("Trailer")):
		return false
	}
	return true
}

// isName tells whether a header's name is made of letters, digits and hyphens alone.
func isName(b []byte) bool {
	for _, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(b) > 0
}

// isPlain tells whether text is printable ASCII.
func isPlain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func digits(b []byte) (int, bool) {
	if len(b) > maxLengthDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 63) // it takes no sign
	return int(n), err == nil
}

// exactly reads a body of a known length; to end before that is an error.
type exactly struct {
	reader io.Reader
	left   int64
}

// Read implements io.Reader.
func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.reader.Read(b[:min(int64(len(b)), e.left)])
	if e.left -= int64(n); errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
