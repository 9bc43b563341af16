package storage

import (
	"errors"
	"fmt"

	"pannier/engine"
)

const (
	// MaxAppendFrames bounds the bytes of one AppendFrames. The largest frame must fit, which
	// is a little longer than MaxRecordBytes; the rest of it is room for limits up to there.
	MaxAppendFrames = 2 * MaxRecordBytes
	// maxCopiedGroupBytes is more than a replica ever writes at once: what may be pending
	// when the last AppendFrames is let in, and that one.
	maxCopiedGroupBytes = MaxPendingBytes + MaxAppendFrames
)

// GapError says that frames do not begin where a replica ends.
type GapError struct {
	Want uint64 // the next sequence of the replica
	Got  uint64 // where the frames begin
}

// Error names both sequences.
func (e *GapError) Error() string {
	return fmt.Sprintf("the frames begin at sequence %d, the replica goes on at %d", e.Got, e.Want)
}

var (
	_ engine.Journal = (*Replica)(nil)

	errAppendToReplica = errors.New("append: the journal is a replica, only frames can be appended")
)

// Replica is another member's journal: the same records in the same frames with the same
// sequences, from some sequence on. Segments and retention are its own. It is read, trimmed
// and closed like any journal and refuses Append: only one member writes a journal, and a
// replica follows it. Safe for concurrent use; one process at a time may have the folder open.
type Replica struct{ *Journal }

// OpenReplica opens the replica in dir. When there is none it makes one that begins with the
// sequence first; otherwise first is ignored. It also opens, to follow it from now on, what
// this member wrote itself, and OpenJournal opens what a replica wrote.
//
// Recovery is that of OpenJournal, with one difference: SyncedHint is ignored. What a replica
// lost at its end another member still has, so it goes on there instead of stepping over it.
//
// Errors: as OpenJournal, and first is 0. Close the replica to end its goroutine.
func OpenReplica(dir string, id engine.JournalID, first uint64, o JournalOptions) (*Replica, error) {
	if first == 0 {
		return nil, fmt.Errorf("open replica %s: sequences begin with 1", dir)
	}
	o.SyncedHint = 0
	j := newJournal(dir, id, o)
	j.replica = true
	if err := j.open(first); err != nil {
		return nil, fmt.Errorf("open replica %s: %w", dir, err)
	}
	return &Replica{Journal: j}, nil
}

// AppendFrames queues frames, as Journal.ReadFrames of the same journal gave them, for the
// next sync; first is the sequence of the first. done is called exactly once, in the order of
// the calls, after they are synced; it must not block. Many calls share one sync. Without
// frames done is called once everything appended before is synced. It blocks while
// MaxPendingBytes wait. frames are the caller's again when it returns. Calls at the same time
// do no harm, but only one of them can have the right first.
//
// Errors: *GapError (the replica does not end before first), too_large (more than
// MaxAppendFrames bytes), storage_full, unavailable (closed, or a write failed), or a frame
// that is not whole, not intact, not of this journal, not the next one or not readable by
// this version. On an error nothing was written.
func (r *Replica) AppendFrames(first uint64, frames []byte, done func()) error {
	if len(frames) > MaxAppendFrames {
		return engine.Errorf(engine.CodeTooLarge, "at most %d bytes of frames may be appended at once", MaxAppendFrames)
	}
	more, err := r.examine(first, frames)
	if err != nil {
		return fmt.Errorf("append frames: %w", err)
	}
	if err := r.options.Space.Check(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.awaitRoom(); err != nil {
		return err
	}
	if first != r.next {
		return &GapError{Want: r.next, Got: first}
	}
	r.pending.join(more)
	r.next += uint64(more.records) //nolint:gosec // a count
	r.pending.dones = append(r.pending.dones, done)
	r.rouse()
	return nil
}

// Skip has the replica go on at the sequence next: its keeper has lost what lies between first,
// the replica's end, and there. It waits until what was appended before is taken for its sync.
//
// Errors: *GapError (the replica does not end before first), unavailable (closed, or a write
// failed).
func (r *Replica) Skip(first, next uint64, done func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.pending.dones) > 0 && !r.closing {
		r.rouse()
		r.room.Wait()
	}
	switch {
	case r.closing:
		return errJournalClosed
	case first != r.next || next <= first:
		return &GapError{Want: r.next, Got: first}
	}
	r.pending.skipTo, r.next = next, next
	r.pending.dones = append(r.pending.dones, done)
	r.rouse()
	return nil
}

// examine makes a group of frames that begin with the sequence first, if each of them is
// what the journal's writer would have written there. The group shares their memory.
func (j *Journal) examine(first uint64, frames []byte) (group, error) {
	g := group{frames: frames}
	head, texts := new(engine.Event), make(map[string]string)
	for at, sequence := 0, first; at < len(frames); sequence++ {
		h, payload, err := parseFrame(frames[at:], j.seed)
		if err == nil && h.sequence != sequence {
			err = fmt.Errorf("holds sequence %d", h.sequence)
		}
		if err != nil {
			return group{}, fmt.Errorf("frame of sequence %d: %w", sequence, err)
		}
		r := valueReader{b: payload, shared: texts}
		record := readRecord(&r, engine.EventRef{Journal: j.id, Sequence: sequence}, head)
		if r.err != nil {
			return group{}, fmt.Errorf("frame of sequence %d: %w", sequence, r.err)
		}
		g.count(at, sequence, acceptedMilli(record), record.Event)
		at += int(h.size())
	}
	return g, nil
}
