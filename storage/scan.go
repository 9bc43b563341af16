package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

const (
	// readChunkBytes is read at once.
	readChunkBytes = 256 << 10
	// blockBytes is the unit in which an unreadable chunk is read again.
	blockBytes = 4 << 10
)

var chunks = sync.Pool{New: func() any { b := make([]byte, readChunkBytes); return &b }}

// frame is one valid frame; raw, all of it but the padding, holds until the scanner goes on.
type frame struct {
	sequence, synced uint64
	raw              []byte
	offset           int64
}

func (f frame) payload() []byte { return f.raw[frameHeaderBytes:] }

// scanner walks over the frames of a file and steps over what is damaged: behind a bad
// frame it looks at every multiple of 8 for the next one whose CRC holds and whose
// sequence can follow. A client cannot forge such a frame inside an event: it would need
// zero bytes, which JSON cannot hold.
type scanner struct {
	file   io.ReaderAt
	seed   uint32
	offset int64  // of what is looked at next
	end    int64  // of the frames
	next   uint64 // the sequence expected
	last   uint64 // the last sequence there can be
	// lost is told which sequences are missing before a valid frame and where the hole
	// begins.
	lost func(from, through uint64, offset int64)

	hole    int64 // where the present hole begins; -1: none
	pooled  *[]byte
	chunk   []byte
	chunkAt int64
}

func newScanner(file io.ReaderAt, seed uint32, offset, end int64, next, last uint64) *scanner {
	return &scanner{
		file: file, seed: seed, offset: offset, end: end, next: next, last: last, hole: -1,
		pooled: chunks.Get().(*[]byte),
	}
}

// release gives the buffer back; payloads are invalid from then on.
func (s *scanner) release() { chunks.Put(s.pooled) }

// scan gives the next valid frame. ok is false at the end of the file or of the sequences;
// what is missing up to last then lies in next to last and has not been told to lost.
func (s *scanner) scan() (f frame, ok bool, err error) {
	for s.next <= s.last && s.offset+frameHeaderBytes <= s.end {
		f, ok, err = s.try()
		if err != nil {
			return frame{}, false, err
		}
		if !ok {
			s.stepOver()
			continue
		}
		if f.sequence > s.next && s.lost != nil {
			s.lost(s.next, f.sequence-1, s.holeBefore(f))
		}
		s.hole = -1
		s.next = f.sequence + 1
		return f, true, nil
	}
	return frame{}, false, nil
}

// try takes what lies at offset for a frame.
func (s *scanner) try() (frame, bool, error) {
	b, err := s.window(frameHeaderBytes)
	if err != nil {
		return frame{}, false, err
	}
	h := parseFrameHeader(b)
	n := frameHeaderBytes + int64(h.length)
	if h.length == 0 || h.length > MaxRecordBytes || s.offset+n > s.end || h.sequence < s.next || h.sequence > s.last {
		return frame{}, false, nil
	}
	if b, err = s.window(int(n)); err != nil || !h.intact(b, s.seed) {
		return frame{}, false, err
	}
	f := frame{sequence: h.sequence, synced: h.synced, raw: b, offset: s.offset}
	s.offset += h.size()
	return f, true, nil
}

// stepOver goes to the next place where a frame may begin: over zeros in one go.
func (s *scanner) stepOver() {
	if s.hole < 0 {
		s.hole = s.offset
	}
	s.offset += frameAlign
	for s.offset+frameAlign <= s.chunkAt+int64(len(s.chunk)) &&
		binary.LittleEndian.Uint64(s.chunk[s.offset-s.chunkAt:]) == 0 {
		s.offset += frameAlign
	}
}

// holeBefore is where the bytes that could not be read begin; there may be none.
func (s *scanner) holeBefore(f frame) int64 {
	if s.hole >= 0 {
		return s.hole
	}
	return f.offset
}

// window gives n bytes from offset on; the caller has checked that they lie before end.
func (s *scanner) window(n int) ([]byte, error) {
	at := s.offset - s.chunkAt
	if s.chunk == nil || at < 0 || at+int64(n) > int64(len(s.chunk)) {
		if err := s.fill(n); err != nil {
			return nil, err
		}
		at = 0
	}
	return s.chunk[at : at+int64(n)], nil
}

func (s *scanner) fill(n int) error {
	size := int(min(int64(max(n, readChunkBytes)), s.end-s.offset))
	if cap(*s.pooled) < size {
		*s.pooled = make([]byte, size)
	}
	s.chunk, s.chunkAt = (*s.pooled)[:size], s.offset
	return readOver(s.file, s.chunk, s.offset)
}

// readOver fills b. What the file no longer has, or the disk cannot read at the second
// try either, becomes zeros: it then counts as damaged and does not hide what follows.
func readOver(file io.ReaderAt, b []byte, offset int64) error {
	n, err := file.ReadAt(b, offset)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		clear(b[n:])
		return nil
	case !errors.Is(err, syscall.EIO):
		return fmt.Errorf("read segment: %w", err)
	}
	for at := 0; at < len(b); at += blockBytes {
		block := b[at:min(at+blockBytes, len(b))]
		if n, err := file.ReadAt(block, offset+int64(at)); err != nil {
			clear(block[n:])
		}
	}
	return nil
}
