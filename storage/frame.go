package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"pannier/engine"
)

// A frame holds one record in a segment:
//
//	length u32 │ crc u32 │ sequence u64 │ synced u64 │ payload │ zeros up to a multiple of 8
//
// length is that of the payload; 0 is the end of the data. crc (CRC-32C) covers everything
// behind it up to the end of the payload. synced is the last sequence that was known to be
// synced when the frame was encoded: a hole below a later frame's synced is damage, a hole
// above every later frame's synced is a write that a crash tore. In a replica's segment it
// tells of another disk (see recovery.syncedBefore). Numbers are little endian.
const (
	frameHeaderBytes = 24
	frameAlign       = 8
	minFrameBytes    = frameHeaderBytes + frameAlign
)

// MaxRecordBytes bounds one encoded record. The largest is the record of a request that
// names MaxBatchEvents ids.
const MaxRecordBytes = 1 << 20

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errFrameShort   = errors.New("cut short")
	errFrameLength  = errors.New("length of no record")
	errFrameDamaged = errors.New("damaged or of another journal")
	errFramePadding = errors.New("damaged padding")
)

// frameSeed starts the CRC of every frame of one journal, so that a frame of another
// journal never counts as valid.
func frameSeed(id engine.JournalID) uint32 {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], uint64(id))
	return crc32.Checksum(raw[:], castagnoli)
}

// beginFrame leaves room for the header; the payload is appended behind it.
func beginFrame(b []byte) []byte {
	return append(b, make([]byte, frameHeaderBytes)...)
}

// endFrame fills in the header of the frame that begins at start and pads it.
func endFrame(b []byte, start int, seed uint32, sequence, synced uint64) []byte {
	f := b[start:]
	binary.LittleEndian.PutUint32(f, uint32(len(f)-frameHeaderBytes)) //nolint:gosec // at most MaxRecordBytes
	binary.LittleEndian.PutUint64(f[8:], sequence)
	binary.LittleEndian.PutUint64(f[16:], synced)
	binary.LittleEndian.PutUint32(f[4:], crc32.Update(seed, castagnoli, f[8:]))
	return padFrames(b)
}

// padFrames fills up the last of frames that begin at the beginning of b.
func padFrames(b []byte) []byte {
	if odd := len(b) % frameAlign; odd != 0 {
		b = append(b, make([]byte, frameAlign-odd)...)
	}
	return b
}

// frameHeader is the head of what may be a frame.
type frameHeader struct {
	length           uint32
	crc              uint32
	sequence, synced uint64
}

func parseFrameHeader(b []byte) frameHeader {
	return frameHeader{
		length:   binary.LittleEndian.Uint32(b),
		crc:      binary.LittleEndian.Uint32(b[4:]),
		sequence: binary.LittleEndian.Uint64(b[8:]),
		synced:   binary.LittleEndian.Uint64(b[16:]),
	}
}

// size is that of the whole frame.
func (h frameHeader) size() int64 {
	return paddedBytes(frameHeaderBytes + int64(h.length))
}

// paddedBytes is the size of a frame that has n bytes without its padding.
func paddedBytes(n int64) int64 { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// intact checks the CRC; b holds the frame without its padding.
func (h frameHeader) intact(b []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, b[8:]) == h.crc
}

// parseFrame gives the frame that b begins with. All of it is checked but what the payload
// means.
func parseFrame(b []byte, seed uint32) (h frameHeader, payload []byte, err error) {
	if len(b) < frameHeaderBytes {
		return frameHeader{}, nil, errFrameShort
	}
	h = parseFrameHeader(b)
	if h.length == 0 || h.length > MaxRecordBytes {
		return frameHeader{}, nil, errFrameLength
	}
	if h.size() > int64(len(b)) {
		return frameHeader{}, nil, errFrameShort
	}
	end := frameHeaderBytes + int(h.length)
	if !h.intact(b[:end], seed) {
		return frameHeader{}, nil, errFrameDamaged
	}
	for _, zero := range b[end:h.size()] {
		if zero != 0 {
			return frameHeader{}, nil, errFramePadding
		}
	}
	return h, b[frameHeaderBytes:end], nil
}
