package storage

import (
	"bytes"
	"strings"
	"testing"
)

// TestPiecesShareNothingButMemory: what is cut off a piece is not what was cut off before,
// and no longer than asked, also where it is longer than a piece.
func TestPiecesShareNothingButMemory(t *testing.T) {
	t.Parallel()
	p := new(pieces)
	raw := []byte("trip.created")
	first := p.text(raw)
	copy(raw, "cyclist.move")
	second := p.text(raw)
	if first != "trip.created" || second != "cyclist.move" {
		t.Errorf("texts: %q and %q", first, second)
	}
	for _, length := range []int{0, pieceBytes - 1, pieceBytes, pieceBytes + 1} {
		want := strings.Repeat("x", length)
		if got := p.text(bytes.Repeat([]byte("x"), length)); got != want {
			t.Errorf("a text of %d bytes came back with %d", length, len(got))
		}
	}
	for _, length := range []int{1, pieceLength - 1, pieceLength, pieceLength + 1} {
		one, other := p.patternList(length), p.patternList(length)
		if len(one) != length || cap(one) != length {
			t.Errorf("asked for %d, got %d with room for %d", length, len(one), cap(one))
		}
		one[length-1] = "trip.*"
		if got := other[length-1]; got != "" {
			t.Errorf("two lists of %d share memory: %q", length, got)
		}
	}
	if one, other := p.version(), p.version(); one == other {
		t.Error("two versions in one place")
	}
}

// TestPiecesTakeFewObjects: the garbage collector has little to visit.
func TestPiecesTakeFewObjects(t *testing.T) { //nolint:paralleltest // it counts the objects of the whole program
	p, raw := new(pieces), []byte("https://hooks.example/one/of/very/many")
	const versions = 10 * pieceLength
	got := testing.AllocsPerRun(1, func() {
		for range versions {
			p.version().URL = p.text(raw)
			p.patternList(1)
			p.secretList(1)
		}
	})
	if most := float64(versions) / 10; got > most {
		t.Errorf("%.0f objects for %d versions, want at most %.0f", got, versions, most)
	}
}
