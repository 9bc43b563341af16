package tally

import (
	"math/bits"
	"sync/atomic"
)

// chunkNumbers is how many numbers share one piece of memory.
const chunkNumbers = 1 << 16

// MaxNumber bounds the number of a mark.
const MaxNumber = 1<<28 - 1

const maxChunks = (MaxNumber + 1) / chunkNumbers

// chunks hands out memory for numbers as they come.
type chunks[T any] struct {
	table [maxChunks]atomic.Pointer[T]
}

func (c *chunks[T]) of(number uint64) *T {
	if number > MaxNumber {
		return nil
	}
	return c.table[number/chunkNumbers].Load()
}

func (c *chunks[T]) made(number uint64) *T {
	slot := &c.table[number/chunkNumbers]
	if chunk := slot.Load(); chunk != nil {
		return chunk
	}
	slot.CompareAndSwap(nil, new(T))
	return slot.Load()
}

type word [chunkNumbers / 64]atomic.Uint64

// Set is a set of numbers up to MaxNumber, a bit each. Safe for concurrent use.
type Set struct {
	words chunks[word]
	count atomic.Int64
}

// Add puts a number of at most MaxNumber in; fresh tells that it was not in.
func (s *Set) Add(number uint64) (fresh bool) {
	bit := uint64(1) << (number % 64)
	before := s.words.made(number)[number%chunkNumbers/64].Or(bit)
	if before&bit != 0 {
		return false
	}
	s.count.Add(1)
	return true
}

// Has tells whether a number is in.
func (s *Set) Has(number uint64) bool {
	chunk := s.words.of(number)
	return chunk != nil && chunk[number%chunkNumbers/64].Load()>>(number%64)&1 == 1
}

// Len is how many numbers are in.
func (s *Set) Len() int64 { return s.count.Load() }

func (s *Set) bits(chunk, n int) uint64 {
	if words := s.words.table[chunk].Load(); words != nil {
		return words[n].Load()
	}
	return 0
}

// differ counts the numbers of s that are in none of the others, and names the first few.
func (s *Set) differ(others ...*Set) (count int64, first []uint64) {
	for chunk := range maxChunks {
		words := s.words.table[chunk].Load()
		if words == nil {
			continue
		}
		for n := range words {
			left := words[n].Load()
			for _, other := range others {
				left &^= other.bits(chunk, n)
			}
			count += int64(bits.OnesCount64(left))
			for ; left != 0 && len(first) < maxNamed; left &= left - 1 {
				first = append(first, uint64(chunk*chunkNumbers+n*64+bits.TrailingZeros64(left))) //nolint:gosec // not negative
			}
		}
	}
	return count, first
}

// maxNamed bounds the numbers a mismatch names.
const maxNamed = 5
