package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pannier/cluster/protocol"
	"pannier/engine"
)

// TestEveryMessageHasAnEncoding reads the protocol's source, so that a new kind of message
// cannot be forgotten here. New fields are found by TestEnvelopesComeBack.
func TestEveryMessageHasAnEncoding(t *testing.T) {
	t.Parallel()
	var encoded []string
	for _, k := range kinds[1:] {
		encoded = append(encoded, k.message.Elem().Name())
	}
	slices.Sort(encoded)
	if declared := messagesOf(t, "../protocol"); !slices.Equal(encoded, declared) {
		t.Errorf("\n  encoded %v\nmessages %v", encoded, declared)
	}
}

// messagesOf lists the types of a folder that have the method of protocol.Message.
func messagesOf(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, entry.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "message" {
				continue
			}
			if pointer, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
				names = append(names, pointer.X.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func TestEnvelopesComeBack(t *testing.T) {
	t.Parallel()
	for number := 1; number < len(kinds); number++ {
		t.Run(kinds[number].message.Elem().Name(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want := drawEnvelope(t, number)
				got, err := Decode(Encode(want))
				if err != nil {
					t.Fatalf("decode: %v", err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("\n got %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

func TestEmptyListsBecomeNil(t *testing.T) {
	t.Parallel()
	got, err := Decode(Encode(protocol.Envelope{Messages: []protocol.Message{
		&protocol.Append{Frames: []byte{}},
		&protocol.Want{Subscriptions: []engine.SubscriptionID{}},
		&protocol.Versions{Versions: []*engine.Subscription{{Headers: map[string]string{}}}},
	}}))
	want := protocol.Envelope{Messages: []protocol.Message{
		&protocol.Append{}, &protocol.Want{}, &protocol.Versions{Versions: []*engine.Subscription{{}}},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %+v, %v", got, err)
	}
	if got, err = Decode(Encode(protocol.Envelope{Messages: []protocol.Message{}})); err != nil || got.Messages != nil {
		t.Errorf("decode = %+v, %v", got, err)
	}
}

// TestShortestItemsComeBack: no list is taken for longer than its message while it is not.
func TestShortestItemsComeBack(t *testing.T) {
	t.Parallel()
	const items = 8
	for _, k := range kinds[1:] {
		m := reflect.New(k.message.Elem())
		for _, list := range m.Elem().Fields() {
			for range items {
				if list.Kind() != reflect.Slice {
					continue
				}
				item := reflect.New(list.Type().Elem()).Elem()
				if item.Kind() == reflect.Pointer {
					item.Set(reflect.New(item.Type().Elem()))
				}
				list.Set(reflect.Append(list, item))
			}
		}
		want := protocol.Envelope{Messages: []protocol.Message{m.Interface().(protocol.Message)}}
		if got, err := Decode(Encode(want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: decode = %+v, %v", k.message, got, err)
		}
	}
}

func TestTombstonesAreNotEmptyValues(t *testing.T) {
	t.Parallel()
	for _, value := range [][]byte{nil, {}, {1}} {
		got, err := Decode(Encode(protocol.Envelope{Messages: []protocol.Message{
			&protocol.Group{Entries: []engine.Entry{{EntryKey: engine.EntryKey{Key: "k"}, Value: value}}},
		}}))
		if err != nil {
			t.Fatal(err)
		}
		if back := got.Messages[0].(*protocol.Group).Entries[0].Value; (back == nil) != (value == nil) || !bytes.Equal(back, value) {
			t.Errorf("value %#v came back as %#v", value, back)
		}
	}
}

func TestDamagedEnvelopesAreRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		encoded := Encode(drawEnvelope(t, rapid.IntRange(1, len(kinds)-1).Draw(t, "kind")))
		cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
		damaged := map[string][]byte{
			"cut short":     encoded[:cut],
			"left over":     append(bytes.Clone(encoded), 0),
			"newer version": append([]byte{wireVersion + 1}, encoded[1:]...),
		}
		for name, b := range damaged {
			if _, err := Decode(b); !errors.Is(err, errDamaged) {
				t.Fatalf("%s: decode = %v, want %v", name, err, errDamaged)
			}
		}
	})
}

func TestWhatNoMemberSendsIsRefused(t *testing.T) {
	t.Parallel()
	lists := Encode(protocol.Envelope{Messages: []protocol.Message{&protocol.ShardAsk{Shards: []int{1}}}})
	if _, err := Decode(make([]byte, MaxEnvelopeBytes+1)); !errors.Is(err, errDamaged) {
		t.Errorf("longer than an envelope may be: %v", err)
	}
	for name, m := range map[string]protocol.Message{
		"a shard too high":   &protocol.ShardAsk{Shards: []int{engine.Shards}},
		"a shard below zero": &protocol.Group{Shard: -1},
	} {
		if _, err := Decode(Encode(protocol.Envelope{Messages: []protocol.Message{m}})); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	lists[len(lists)-2] = 2 // shards, of which one is there
	if _, err := Decode(lists); !errors.Is(err, errDamaged) {
		t.Errorf("a list longer than its message: %v", err)
	}
}

// withUnknownKind is an envelope with a known message, and one of a kind of its own.
func withUnknownKind(e protocol.Envelope, number byte) []byte {
	e.Messages = []protocol.Message{&protocol.GroupStored{Token: 1}, &protocol.GroupStored{Token: 2}}
	b := Encode(e)
	b[len(b)-2-lengthBytes] = number
	return b
}

func TestUnknownKindsAreReported(t *testing.T) {
	t.Parallel()
	for _, number := range []byte{0, byte(len(kinds)), 255} {
		b := withUnknownKind(protocol.Envelope{From: "mbr_a"}, number)
		e, err := Decode(b)
		if unknown, ok := errors.AsType[UnknownKindError](err); !ok || unknown.Kind != number {
			t.Errorf("decode = %v, want kind %d", err, number)
		}
		if !reflect.DeepEqual(e, protocol.Envelope{}) {
			t.Errorf("decode gives %+v beside its error", e)
		}
		if _, err = Decode(append(b, 0)); !errors.Is(err, errDamaged) {
			t.Errorf("a damaged one with an unknown kind: %v", err)
		}
	}
}

// TestDecodingTakesLittleMemory: whatever is sent, decoding takes a small multiple of it.
//
//nolint:paralleltest // other tests would be measured too
func TestDecodingTakesLittleMemory(t *testing.T) {
	const (
		size     = 1 << 20
		multiple = 24 // a list of ids of no length: a byte there, a string's header here
	)
	list := func(number byte, head []byte, count int) []byte {
		body := binary.AppendUvarint(head, uint64(count))
		body = append(body, make([]byte, size)...)
		b := append([]byte{wireVersion}, make([]byte, 8)...)
		b = append(b, 1, number)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	}
	envelopes := map[string][]byte{
		"many messages":   append(append([]byte{wireVersion}, make([]byte, 8)...), list(0, nil, size/5)[9:]...),
		"a promised list": list(numbers[reflect.TypeFor[*protocol.Want]()], nil, 8*size),
		"ids":             list(numbers[reflect.TypeFor[*protocol.Want]()], nil, size),
		"versions":        list(numbers[reflect.TypeFor[*protocol.Versions]()], []byte{0}, size/leastVersionBytes),
		"entries":         list(numbers[reflect.TypeFor[*protocol.Group]()], []byte{0, 0}, size/leastEntryBytes),
		"holdings":        list(numbers[reflect.TypeFor[*protocol.Holdings]()], nil, size/leastHoldingBytes),
	}
	for name, b := range envelopes {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > multiple*size {
			t.Errorf("%s: %d bytes of memory for %d bytes (%v)", name, took, len(b), err)
		}
	}
}

// FuzzEnvelope: decoding never panics, and accepts only what encoding makes.
func FuzzEnvelope(f *testing.F) {
	for number := 1; number < len(kinds); number++ {
		seed := rapid.Custom(func(t *rapid.T) []byte { return Encode(drawEnvelope(t, number)) })
		for n := range 3 {
			f.Add(seed.Example(n))
		}
	}
	f.Add(withUnknownKind(protocol.Envelope{From: "mbr_a"}, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err == nil && !bytes.Equal(Encode(e), b) {
			t.Errorf("%x was accepted, but is written %x", b, Encode(e))
		}
	})
}
