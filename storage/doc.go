// Package storage holds what a member keeps on disk, behind the ports of package engine.
//
// # Journal
//
// Journal (twin: MemoryJournal) is the durable order of one lane's accepted events, in
// segment files that are only appended to and removed whole:
//
//	OpenJournal   recover.go, recovertail.go   puts the files together, cuts a torn tail
//	Append        journal.go, groupcommit.go   one write and one sync for many requests
//	Read, Get     read.go, scan.go             by a sparse index (segmentset.go), checked
//	Trim          retention.go                 whole segments
//	ReadFrames    frames.go                    the bytes of records, for a Replica elsewhere
//	on disk       segment.go, frame.go, record.go
//
// Replica (replica.go) is a journal that another member writes, filled with its frames.
//
// Its invariants:
//
//   - A record is acknowledged (done) and shown to readers only after it was synced.
//   - Sequences have no gaps and are never used twice, not after a torn write, damage or
//     the removal of every segment either: there is always an active segment, whose name
//     says where they go on.
//   - Every read checks the CRC and the sequence of every record. What cannot be read is
//     stepped over and listed by sequence (Damage), never silently missing. One case cannot
//     be told: damage to the very last group of a journal that crashed looks like a write
//     torn by the crash; the state's watermark (SyncedHint) tells it for all but the last
//     moments before the crash.
//   - A write or sync that fails ends the process. A sync is never tried again.
//   - Accept times never go back inside a journal.
//   - Reading takes no lock that a sync holds.
//
// The journal does not know what an event is for: matching, retention and watermarks are
// decided by its callers.
//
// Why segments of our own and no library for logs: a reader must be able to stop at a
// cursor and go on in large reads, to seek by time, and to step over damage and name what
// is missing by sequence. The logs at hand (such as those made for Raft) read one record at
// a time, check no CRC on a read, stop at the first damage, and bring a metadata database
// and a metrics library along. Bodies are not compressed: the sync, not the number of
// bytes, is what a small event costs.
//
// # State and history
//
// State (twin: MemoryState) and History (twin: MemoryHistory) keep everything else in two
// Badger databases: what must never be lost, committed by one goroutine in synced groups,
// and the log of attempts, which may be. Folder is the data folder around all three.
package storage
