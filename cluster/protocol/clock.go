package protocol

import (
	"time"

	"pannier/cluster/placement"
	"pannier/engine"

	"github.com/cespare/xxhash/v2"
)

// stampTagBits are the lowest bits of a stamp: the member, so that two hardly ever give the
// same stamp.
const stampTagBits = 12

// MaxClockSkew is how far ahead of this member's clock a stamp of another may be: one beyond
// it would win over every change made here until the clocks meet.
const MaxClockSkew = 60 * time.Second

// Clock is a hybrid logical clock (Kulkarni et al. 2014): of two changes made one after the
// other, on whatever members, the later one has the higher stamp; changes that know nothing of
// each other are ordered by their wall clocks. Not safe for concurrent use.
type Clock struct {
	last engine.Stamp
	tag  engine.Stamp
}

// NewClock makes the clock of a member.
func NewClock(id placement.MemberID) Clock {
	return Clock{tag: engine.Stamp(xxhash.Sum64String(string(id)) % (1 << stampTagBits))}
}

// Next gives a stamp above all that were given or witnessed.
func (c *Clock) Next(now time.Time) engine.Stamp {
	const step = 1 << stampTagBits
	next := max((c.last|(step-1))+1, engine.StampAt(now.UnixMilli()))
	c.last = next&^(step-1) | c.tag
	return c.last
}

// Witness takes a stamp of another member in. Errors: invalid (too far ahead).
func (c *Clock) Witness(s engine.Stamp, now time.Time) error {
	if s.Milli() > now.Add(MaxClockSkew).UnixMilli() {
		return engine.Errorf(engine.CodeInvalid, "a member's clock is more than %s ahead", MaxClockSkew)
	}
	c.last = max(c.last, s)
	return nil
}
