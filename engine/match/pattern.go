// Package match decides which subscriptions a topic concerns. Pure: no I/O, no clock.
package match

// Pattern is a checked pattern: an exact topic, "prefix.*" or "*".
type Pattern string

// ParseTopic checks a topic.
func ParseTopic(s string) error { panic("skeleton") }

// ParsePattern checks a pattern.
func ParsePattern(s string) (Pattern, error) { panic("skeleton") }

// Matches tells whether p is for topic.
func (p Pattern) Matches(topic string) bool { panic("skeleton") }

// Index finds the handles whose patterns match a topic. Not safe for concurrent writes.
type Index struct{}

// Add registers handle for pattern p of tenant.
func (x *Index) Add(tenant string, p Pattern, handle uint32) { panic("skeleton") }

// Remove undoes Add.
func (x *Index) Remove(tenant string, p Pattern, handle uint32) { panic("skeleton") }

// Match appends to dst, sorted and each once, the handles whose patterns match topic; an
// empty tenant reaches the handles of all tenants.
func (x *Index) Match(topic, tenant string, dst []uint32) []uint32 { panic("skeleton") }
