package members

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"pannier/cluster/placement"

	"github.com/hashicorp/memberlist"
)

const (
	// metaVersion is the layout of what a member says of itself. It changes with the layout,
	// whatever the format of the rest.
	metaVersion = 2
	// maxMeta is memberlist's limit; it panics past it.
	maxMeta = memberlist.MetaMaxSize
	// lengthBytes is the size of the length before each text.
	lengthBytes = 2
)

var (
	errMetaShort    = errors.New("it ends too early")
	errMetaTrailing = errors.New("bytes follow its end")
	errMetaContent  = errors.New("it has an unknown state or place, or no id")
)

// meta is what a member says of itself with every message about it: its header, and then its
// id, the address of its streams and that of its API, each after its length.
type meta struct {
	placement.Member

	shards uint32
	format uint8
}

type metaHeader struct {
	Version   uint8
	Format    uint8
	State     placement.State
	Shards    uint32
	Salt      uint16
	Boot      uint64
	StartedAt int64 // in ms since 1970
}

// name is a life's name in memberlist. A new life has a new one: under the old name memberlist
// would refuse it at another address, and may hold it to what it knew of the old life.
func (m meta) name() string { return string(m.ID) + "#" + strconv.FormatUint(m.Boot, 10) }

// encode gives one text for one meta. No text in it may be longer than maxMeta.
func (m meta) encode() []byte {
	header := metaHeader{
		Version: metaVersion, Format: m.format, State: m.State,
		Shards: m.shards, Salt: m.Salt, Boot: m.Boot, StartedAt: m.StartedAt.UnixMilli(),
	}
	raw, err := binary.Append(nil, binary.BigEndian, header)
	if err != nil {
		panic(err) // only a type without a fixed size makes it fail
	}
	for _, text := range []string{string(m.ID), m.Address, m.API} {
		raw = binary.BigEndian.AppendUint16(raw, uint16(min(len(text), math.MaxUint16)))
		raw = append(raw, text...)
	}
	return raw
}

// decodeMeta reads what encode wrote and nothing else. raw is copied.
func decodeMeta(raw []byte) (meta, error) {
	m, err := decodeFields(raw)
	if err != nil {
		return meta{}, fmt.Errorf("decode meta: %w", err)
	}
	return m, nil
}

func decodeFields(raw []byte) (meta, error) {
	if len(raw) > 0 && raw[0] != metaVersion {
		return meta{}, fmt.Errorf("it has version %d, this program knows version %d", raw[0], metaVersion)
	}
	var header metaHeader
	read, err := binary.Decode(raw, binary.BigEndian, &header)
	if err != nil {
		return meta{}, errMetaShort
	}
	m := meta{shards: header.Shards, format: header.Format}
	m.State, m.Salt, m.Boot, m.StartedAt = header.State, header.Salt, header.Boot, time.UnixMilli(header.StartedAt).UTC()
	raw = raw[read:]
	var id string
	for _, text := range []*string{&id, &m.Address, &m.API} {
		if len(raw) < lengthBytes {
			return meta{}, errMetaShort
		}
		length := int(binary.BigEndian.Uint16(raw))
		raw = raw[lengthBytes:]
		if len(raw) < length {
			return meta{}, errMetaShort
		}
		*text, raw = string(raw[:length]), raw[length:]
	}
	m.ID = placement.MemberID(id)
	switch {
	case len(raw) > 0:
		return meta{}, errMetaTrailing
	case id == "" || m.State < placement.Joining || m.State > placement.Draining || m.Salt > placement.Salts:
		return meta{}, errMetaContent
	}
	return m, nil
}

// check refuses what could not be announced.
func (m meta) check() error {
	raw := m.encode()
	if len(raw) > maxMeta {
		return fmt.Errorf("its id and addresses are too long: what it says of itself has %d bytes, the limit is %d", len(raw), maxMeta)
	}
	if _, err := decodeMeta(raw); err != nil {
		return fmt.Errorf("its description is not complete: %w", err)
	}
	return nil
}

// fits tells why a member cannot be in one cluster with another; nil when it can.
func (m meta) fits(other meta) error {
	switch {
	case m.shards != other.shards:
		return fmt.Errorf("it has %d shards, this member has %d", other.shards, m.shards)
	case m.format != other.format:
		return fmt.Errorf("it has format %d, this member has %d", other.format, m.format)
	}
	return nil
}
