package storage

import (
	"fmt"

	"pannier/engine"
)

// EntriesOf splits a group of writes of one subscription's retry state into the registers
// that they write, in order of their first write, and the rest, unchanged and in order.
// Stamps are left zero: the caller sets them.
//
// A delivery is one register, whether it is a retry record or a dead letter: the later of the
// two that the group puts and does not drop itself is its value, and only a group that leaves
// neither makes a tombstone. A drop of what the group does not put therefore takes nothing
// else away: a delivery that dies drops its retry record, one that is replayed drops its dead
// letter.
//
// Errors: too_large (see MaxSubscriptionIDBytes), writes of more than one subscription. It may
// be called concurrently.
func EntriesOf(writes []engine.Write) (entries []engine.Entry, rest []engine.Write, err error) {
	g := entryGroup{at: make(map[engine.EntryKey]int)}
	for _, write := range writes {
		if !g.take(write) {
			rest = append(rest, write)
		}
	}
	entries = make([]engine.Entry, len(g.registers))
	for i := range g.registers {
		r := &g.registers[i]
		if r.key.Subscription != g.registers[0].key.Subscription {
			return nil, nil, fmt.Errorf("writes of %s among those of %s", r.key.Subscription, g.registers[0].key.Subscription)
		}
		if err := checkSub(r.key.Subscription); err != nil {
			return nil, nil, err
		}
		entries[i] = engine.Entry{EntryKey: r.key, Value: r.value().Encode()}
	}
	return entries, rest, nil
}

// entryGroup gathers what one group of writes leaves in each register.
type entryGroup struct {
	at        map[engine.EntryKey]int
	registers []writtenRegister
}

// writtenRegister is a register and what the group leaves in it; all nil: a tombstone.
type writtenRegister struct {
	key       engine.EntryKey
	retry     *engine.RetryRecord
	dead      *engine.DeadLetter
	deadLater bool // dead was put after retry
	queue     *engine.Queue
	replay    *engine.Replay
	expired   *engine.Expired
}

func (r *writtenRegister) value() EntryValue {
	switch {
	case r.retry != nil && r.dead != nil && r.deadLater:
		return EntryValue{Dead: r.dead}
	case r.retry != nil:
		return EntryValue{Retry: r.retry}
	default:
		return EntryValue{Dead: r.dead, Queue: r.queue, Replay: r.replay, Expired: r.expired}
	}
}

// take reports false for a write that is of no register.
func (g *entryGroup) take(write engine.Write) bool {
	switch w := write.(type) {
	case engine.PutRetryRecord:
		r := g.delivery(w.Subscription, w.Key)
		r.retry, r.deadLater = &w.RetryRecord, false
	case engine.DropRetryRecord:
		g.delivery(w.Subscription, w.Key).retry = nil
	case engine.PutDeadLetter:
		r := g.delivery(w.Subscription, w.Key)
		r.dead, r.deadLater = &w.DeadLetter, true
	case engine.DropDeadLetter:
		g.delivery(w.Subscription, w.Key).dead = nil
	case engine.PutQueue:
		g.register(engine.EntryKey{Kind: engine.EntryQueue, Subscription: w.Subscription}).queue = &w.Queue
	case engine.DropQueue:
		g.register(engine.EntryKey{Kind: engine.EntryQueue, Subscription: w.Subscription}).queue = nil
	case engine.PutReplay:
		g.register(engine.EntryKey{Kind: engine.EntryReplay, Subscription: w.Subscription, Key: w.ID}).replay = &w.Replay
	case engine.DropReplay:
		g.register(engine.EntryKey{Kind: engine.EntryReplay, Subscription: w.Subscription, Key: w.ID}).replay = nil
	case engine.PutExpired:
		g.register(expiredRegister(w.Subscription, w.Key)).expired = &w.Expired
	case engine.DropExpired:
		g.register(expiredRegister(w.Subscription, w.Key)).expired = nil
	default:
		return false
	}
	return true
}

func (g *entryGroup) delivery(sub engine.SubscriptionID, key engine.DeliveryKey) *writtenRegister {
	return g.register(deliveryRegister(sub, key))
}

func (g *entryGroup) register(key engine.EntryKey) *writtenRegister {
	i, known := g.at[key]
	if !known {
		i = len(g.registers)
		g.at[key] = i
		g.registers = append(g.registers, writtenRegister{key: key})
	}
	return &g.registers[i]
}
