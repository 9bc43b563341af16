// Package match decides which subscriptions a topic concerns: patterns, and an index that
// finds those of a topic without looking at the others. Pure: no I/O, no clock.
package match

import "strings"

// Pattern is a checked pattern: an exact topic, "prefix.*" (every topic that starts with
// "prefix.") or "*" (every topic).
type Pattern string

// Any matches every topic.
const Any Pattern = "*"

// ParsePattern checks a pattern. The error's text is written for a user.
func ParsePattern(s string) (Pattern, error) {
	if s == string(Any) {
		return Any, nil
	}
	if prefix, ok := strings.CutSuffix(s, ".*"); ok {
		if err := ParseTopic(prefix); err != nil {
			return "", err
		}
		return Pattern(s), nil
	}
	if err := ParseTopic(s); err != nil {
		return "", err
	}
	return Pattern(s), nil
}

// Matches tells whether p is for topic.
func (p Pattern) Matches(topic string) bool {
	if p == Any || string(p) == topic {
		return true
	}
	prefix, ok := strings.CutSuffix(string(p), "*")
	return ok && strings.HasPrefix(topic, prefix)
}
