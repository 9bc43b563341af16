package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pannier/engine"
)

// A segment is one file of a journal, named after its first sequence:
//
//	header (64 bytes) │ frames … │ zeros (allocated ahead)     active
//	header (64 bytes) │ frames … │ footer (64 bytes)           sealed
//
//	          first record                 full, old or closed            retention
//	created ───────────────► allocated ahead ──────────────────► sealed ───────────► removed
//
// A sealed file never changes. Header and footer keep their size and the place of their
// CRC in every format version, so that any version can be told from damage.
const (
	segmentSuffix = ".segment"
	sequenceChars = 20 // of a file name: the digits of the largest sequence

	segmentFormat = 1
	headerBytes   = 64
	footerBytes   = 64
	sealCRC       = 60 // offset of the CRC in header and footer

	segmentFlagCopied = 1 << 0
)

var (
	headerMagic = [8]byte{'P', 'a', 'n', 'n', 'J', 'r', 'n', 'l'}
	footerMagic = [8]byte{'P', 'a', 'n', 'n', 'S', 'e', 'a', 'l'}

	errHeader = errors.New("damaged header")
	errFooter = errors.New("no footer")
)

// segmentHeader is what a file says about itself before it holds a record.
type segmentHeader struct {
	journal engine.JournalID
	first   uint64
	created time.Time
	// floor is the last accept time before the segment, in ms: none in it is earlier.
	floor int64
	// copied says that a replica wrote the frames, which were encoded elsewhere.
	copied bool
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, headerMagic[:])
	binary.LittleEndian.PutUint32(b[8:], segmentFormat)
	flags := uint32(0)
	if h.copied {
		flags |= segmentFlagCopied
	}
	binary.LittleEndian.PutUint32(b[12:], flags)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.journal))
	binary.LittleEndian.PutUint64(b[24:], h.first)
	binary.LittleEndian.PutUint64(b[32:], unsigned(h.created.UnixMilli()))
	binary.LittleEndian.PutUint64(b[40:], unsigned(h.floor))
	binary.LittleEndian.PutUint32(b[sealCRC:], crc32.Checksum(b[:sealCRC], castagnoli))
	return b
}

// readHeader gives errHeader for damage, and another error where the file is sound but not
// one that this journal may read.
func readHeader(file io.ReaderAt, id engine.JournalID) (segmentHeader, error) {
	b := make([]byte, headerBytes)
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return segmentHeader{}, fmt.Errorf("read header: %w", err)
	}
	if [8]byte(b) != headerMagic || binary.LittleEndian.Uint32(b[sealCRC:]) != crc32.Checksum(b[:sealCRC], castagnoli) {
		return segmentHeader{}, errHeader
	}
	if format := binary.LittleEndian.Uint32(b[8:]); format != segmentFormat {
		return segmentHeader{}, fmt.Errorf("segment has format version %d, this program reads version %d", format, segmentFormat)
	}
	flags := binary.LittleEndian.Uint32(b[12:])
	h := segmentHeader{
		journal: engine.JournalID(binary.LittleEndian.Uint64(b[16:])),
		first:   binary.LittleEndian.Uint64(b[24:]),
		created: time.UnixMilli(signed(binary.LittleEndian.Uint64(b[32:]))),
		floor:   signed(binary.LittleEndian.Uint64(b[40:])),
		copied:  flags&segmentFlagCopied != 0,
	}
	if h.journal != id {
		return segmentHeader{}, fmt.Errorf("segment belongs to journal %016x, not to %016x", uint64(h.journal), uint64(id))
	}
	return h, nil
}

// summary is what is known of the records of a segment; times are in ms.
type summary struct {
	last            uint64
	firstAt, lastAt int64
	firstRevision   uint64 // the lowest of its events
}

// emptySummary is that of a segment without records.
func emptySummary(first uint64, floor int64) summary {
	return summary{last: first - 1, firstAt: math.MaxInt64, lastAt: floor, firstRevision: math.MaxUint64}
}

// add counts one record in.
func (s *summary) add(sequence uint64, at int64, e *engine.Event) {
	s.last = sequence
	s.firstAt = min(s.firstAt, at)
	s.lastAt = max(s.lastAt, at)
	if e != nil {
		s.firstRevision = min(s.firstRevision, e.Revision)
	}
}

// join counts in what follows.
func (s *summary) join(next summary) {
	s.last = next.last
	s.firstAt = min(s.firstAt, next.firstAt)
	s.lastAt = max(s.lastAt, next.lastAt)
	s.firstRevision = min(s.firstRevision, next.firstRevision)
}

// encodeFooter seals frames that end at end.
func encodeFooter(s summary, end int64) []byte {
	b := make([]byte, footerBytes)
	copy(b, footerMagic[:])
	binary.LittleEndian.PutUint64(b[8:], s.last)
	binary.LittleEndian.PutUint64(b[16:], unsigned(s.firstAt))
	binary.LittleEndian.PutUint64(b[24:], unsigned(s.lastAt))
	binary.LittleEndian.PutUint64(b[32:], s.firstRevision)
	binary.LittleEndian.PutUint64(b[40:], unsigned(end))
	binary.LittleEndian.PutUint32(b[sealCRC:], crc32.Checksum(b[:sealCRC], castagnoli))
	return b
}

// readFooter reads the footer of a file of size bytes; errFooter when there is none that
// holds.
func readFooter(file io.ReaderAt, size int64) (s summary, end int64, err error) {
	if size < headerBytes+footerBytes {
		return summary{}, 0, errFooter
	}
	b := make([]byte, footerBytes)
	if _, err := file.ReadAt(b, size-footerBytes); err != nil {
		return summary{}, 0, fmt.Errorf("read footer: %w", err)
	}
	end = signed(binary.LittleEndian.Uint64(b[40:]))
	if [8]byte(b) != footerMagic || end != size-footerBytes ||
		binary.LittleEndian.Uint32(b[sealCRC:]) != crc32.Checksum(b[:sealCRC], castagnoli) {
		return summary{}, 0, errFooter
	}
	return summary{
		last:          binary.LittleEndian.Uint64(b[8:]),
		firstAt:       signed(binary.LittleEndian.Uint64(b[16:])),
		lastAt:        signed(binary.LittleEndian.Uint64(b[24:])),
		firstRevision: binary.LittleEndian.Uint64(b[32:]),
	}, end, nil
}

// segmentPath names the file of a segment.
func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%0*d%s", sequenceChars, first, segmentSuffix))
}

func parseSegmentName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != sequenceChars || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}
