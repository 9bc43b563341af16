package storage

// lateChange is a change that depends on what is there when its turn in a transaction has
// come. Only the committer knows the order of the writes, so it is the committer that works
// it out: nothing that was queued before is missed, nothing queued after is seen.
type lateChange struct {
	// resolve gives the changes, none of them late. The view has everything queued before,
	// the same write included. again asks for one more transaction, ahead of every write
	// behind this one.
	resolve func(view stateView) (changes []change, again bool, err error)
	// keys and bytes bound what it changes in one transaction.
	keys, bytes int
}

// newWrite is a write of any changes, late ones among them.
func newWrite(changes []change, done func()) write {
	w := write{changes: changes, done: done}
	for _, c := range changes {
		w.size += c.size()
		if c.late != nil {
			w.extra += c.late.keys - 1
		}
	}
	return w
}
