package storage

import "encoding/hex"

// A traceparent of version 00 is 55 characters of which 25 bytes say all (W3C Trace Context
// section 3.2): version-trace-parent-flags, in hexadecimal and lower case.
const (
	traceBytes  = 16 + 8 + 1
	traceChars  = 2 + 1 + 32 + 1 + 16 + 1 + 2
	traceDash   = 2 + 1 + 32
	parentDash  = traceDash + 1 + 16
	traceBegins = "00-"
)

// packTrace packs a traceparent; ok is false for any other text, which is kept as it is.
func packTrace(text string) (packed [traceBytes]byte, ok bool) {
	if len(text) != traceChars || text[:len(traceBegins)] != traceBegins || text[traceDash] != '-' || text[parentDash] != '-' {
		return packed, false
	}
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'F' {
			return packed, false
		}
	}
	_, errTrace := hex.Decode(packed[:16], []byte(text[len(traceBegins):traceDash]))
	_, errParent := hex.Decode(packed[16:24], []byte(text[traceDash+1:parentDash]))
	_, errFlags := hex.Decode(packed[24:], []byte(text[parentDash+1:]))
	return packed, errTrace == nil && errParent == nil && errFlags == nil
}

// unpackTrace is the inverse of packTrace; packed has traceBytes.
func unpackTrace(packed []byte) string {
	text := append(make([]byte, 0, traceChars), traceBegins...)
	text = append(hex.AppendEncode(text, packed[:16]), '-')
	text = append(hex.AppendEncode(text, packed[16:24]), '-')
	return string(hex.AppendEncode(text, packed[24:]))
}
