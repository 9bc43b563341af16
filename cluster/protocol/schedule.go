package protocol

import (
	"time"

	"pannier/engine"
)

// schedule says of each shard when something is to be done for it. It is looked at with every
// tick, so nothing is gone through before the first shard is due.
type schedule struct {
	at       [engine.Shards]time.Time // zero: never
	earliest time.Time                // no shard is due before it; zero: none is set
}

func (s *schedule) set(shard int, at time.Time) {
	s.at[shard] = at
	if s.earliest.IsZero() || at.Before(s.earliest) {
		s.earliest = at
	}
}

func (s *schedule) clear(shard int) { s.at[shard] = time.Time{} }

func (s *schedule) has(shard int) bool { return !s.at[shard].IsZero() }

// due lists the shards whose time has come, in order. They stay due until they are cleared.
func (s *schedule) due(now time.Time) (shards []int) {
	if s.earliest.IsZero() || now.Before(s.earliest) {
		return nil
	}
	s.earliest = time.Time{}
	for shard, at := range s.at {
		switch {
		case at.IsZero():
			continue
		case !now.Before(at):
			shards = append(shards, shard)
		}
		if s.earliest.IsZero() || at.Before(s.earliest) {
			s.earliest = at
		}
	}
	return shards
}
