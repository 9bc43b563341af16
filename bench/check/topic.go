package check

import "strings"

// Matches is the naïve matcher of one pattern: an exact topic, "prefix.*" or "*".
func Matches(pattern, topic string) bool {
	if pattern == "*" {
		return true
	}
	if prefix, all := strings.CutSuffix(pattern, "*"); all {
		return strings.HasPrefix(topic, prefix)
	}
	return pattern == topic
}
