package storage

import (
	"strings"

	"pannier/engine"
	"pannier/engine/match"
)

const (
	// pieceLength is how many things of a kind a piece holds.
	pieceLength = 256
	// pieceBytes is how long a piece of text is.
	pieceBytes = 32 << 10
)

// pieces gives the versions of one load their memory a piece for hundreds of them. The
// garbage collector visits every object: a million subscriptions are eight million of them
// where each has its own. A piece is let go with the last version in it, so that versions
// superseded since hold at most what the load took.
//
// A nil pieces gives texts and lists of patterns memory of their own. Not for concurrent use.
type pieces struct {
	texts    strings.Builder
	versions []engine.Subscription
	patterns []match.Pattern
	secrets  []engine.ValidSecret
}

func (p *pieces) text(raw []byte) string {
	if p == nil || len(raw) > pieceBytes {
		return string(raw)
	}
	if p.texts.Cap()-p.texts.Len() < len(raw) {
		p.texts.Reset() // the texts so far keep the piece they are in
		p.texts.Grow(pieceBytes)
	}
	p.texts.Write(raw)
	all := p.texts.String()
	return all[len(all)-len(raw):]
}

func (p *pieces) version() *engine.Subscription { return &take(&p.versions, 1)[0] }

func (p *pieces) patternList(n int) []match.Pattern {
	if p == nil {
		return make([]match.Pattern, n)
	}
	return take(&p.patterns, n)
}

func (p *pieces) secretList(n int) []engine.ValidSecret { return take(&p.secrets, n) }

// take cuts n things off the piece at left, or off a new one.
func take[T any](left *[]T, n int) []T {
	if len(*left) < n {
		*left = make([]T, max(n, pieceLength))
	}
	taken := (*left)[:n:n]
	*left = (*left)[n:]
	return taken
}
