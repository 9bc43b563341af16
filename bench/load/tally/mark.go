package tally

import "bytes"

// Mark says which event a piece of data is about. It is written as a UUID, so that it fits
// where the payloads of the field have one.
type Mark struct {
	Run    uint32 // of which run of the load generator
	Kind   uint16 // what is numbered, to keep the UUIDs of a run apart
	Number uint64 // from 0, at most MaxNumber
}

// markBytes is the length of a UUID as text.
const markBytes = 36

// String gives the mark as a UUID of version 4.
func (m Mark) String() string { return string(m.Append(nil)) }

// Append appends what String gives.
func (m Mark) Append(b []byte) []byte {
	b = appendHexadecimal(b, uint64(m.Run), 8)
	b = appendHexadecimal(append(b, '-'), uint64(m.Kind), 4)
	return appendHexadecimal(append(b, "-4000-8000-"...), m.Number, 12)
}

func appendHexadecimal(b []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}

// ParseMark reads what String wrote, and nothing else.
func ParseMark(text []byte) (Mark, bool) {
	if len(text) != markBytes || string(text[13:24]) != "-4000-8000-" || text[8] != '-' {
		return Mark{}, false
	}
	run, ok1 := hexadecimal(text[:8])
	kind, ok2 := hexadecimal(text[9:13])
	number, ok3 := hexadecimal(text[24:])
	return Mark{uint32(run), uint16(kind), number}, ok1 && ok2 && ok3 //nolint:gosec // 8 and 4 digits
}

func hexadecimal(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// markIn reads the mark that stands as the value of a member, given as `"name":"`.
func markIn(data, member []byte) (Mark, bool) {
	at := bytes.Index(data, member)
	if at < 0 || len(data) < at+len(member)+markBytes {
		return Mark{}, false
	}
	at += len(member)
	return ParseMark(data[at : at+markBytes])
}
