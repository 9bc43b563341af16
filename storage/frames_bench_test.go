package storage_test

import (
	"testing"

	"pannier/storage"
)

// benchmarkLimit is how much a follower is sent at once.
const benchmarkLimit = 512 << 10

// BenchmarkReadFrames measures frames read and checked, from the page cache; one operation is
// one call.
func BenchmarkReadFrames(b *testing.B) {
	const records = 100_000
	j := openJournal(b, b.TempDir(), storage.JournalOptions{})
	fill(b, j, records)
	b.Run("512 KiB", func(b *testing.B) {
		b.ReportAllocs()
		next, total := uint64(1), 0
		for range b.N {
			frames, behind, err := j.ReadFrames(next, benchmarkLimit)
			if err != nil {
				b.Fatal(err)
			}
			total += len(frames)
			if next = behind; next > records {
				next = 1
			}
		}
		b.SetBytes(int64(total / b.N))
	})
	b.Run("one frame in step", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, _, err := j.ReadFrames(uint64(i%records)+1, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("nothing new", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, _, err := j.ReadFrames(records+1, benchmarkLimit); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppendFrames measures frames checked and synced; one operation is one call, and
// the call before is waited for.
func BenchmarkAppendFrames(b *testing.B) {
	const records = 50_000
	j := openJournal(b, b.TempDir(), storage.JournalOptions{})
	fill(b, j, records)
	for name, limit := range map[string]int{"512 KiB": benchmarkLimit, "one frame": 1} {
		b.Run(name, func(b *testing.B) {
			var chunks [][]byte
			var firsts []uint64
			for next := uint64(1); next <= records && len(chunks) < 2000; {
				frames, behind, err := j.ReadFrames(next, limit)
				if err != nil {
					b.Fatal(err)
				}
				chunks, firsts, next = append(chunks, frames), append(firsts, next), behind
			}
			synced := make(chan struct{}, 1)
			var r *storage.Replica
			b.SetBytes(int64(len(chunks[0])))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n := i % len(chunks)
				if n == 0 {
					b.StopTimer()
					if r != nil {
						_ = r.Close()
					}
					r = openReplica(b, b.TempDir(), 1, storage.JournalOptions{})
					b.StartTimer()
				}
				if err := r.AppendFrames(firsts[n], chunks[n], func() { synced <- struct{}{} }); err != nil {
					b.Fatal(err)
				}
				<-synced
			}
		})
	}
}
