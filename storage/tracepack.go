package storage

import (
	"encoding/hex"

	"pannier/engine"
)

// A traceparent of version 00 is 55 characters of which 25 bytes say all (W3C Trace Context
// section 3.2): version-trace-parent-flags, in hexadecimal and lower case.
const (
	traceBytes   = 16 + 8 + 1
	traceVersion = "00-"
)

// packTrace packs a traceparent; ok is false for any other text, which is kept as it is.
func packTrace(text string) (packed [traceBytes]byte, ok bool) {
	const span, flags = engine.TraceParentSpan, engine.TraceParentFlags
	if len(text) != engine.TraceParentChars || text[:engine.TraceParentTrace] != traceVersion || text[span-1] != '-' || text[flags-1] != '-' {
		return packed, false
	}
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'F' {
			return packed, false
		}
	}
	_, errTrace := hex.Decode(packed[:16], []byte(text[engine.TraceParentTrace:span-1]))
	_, errParent := hex.Decode(packed[16:24], []byte(text[span:flags-1]))
	_, errFlags := hex.Decode(packed[24:], []byte(text[flags:]))
	return packed, errTrace == nil && errParent == nil && errFlags == nil
}

// unpackTrace is the inverse of packTrace; packed has traceBytes.
func unpackTrace(packed []byte) string {
	text := append(make([]byte, 0, engine.TraceParentChars), traceVersion...)
	text = append(hex.AppendEncode(text, packed[:16]), '-')
	text = append(hex.AppendEncode(text, packed[16:24]), '-')
	return string(hex.AppendEncode(text, packed[24:]))
}
