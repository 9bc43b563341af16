package engine

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// The alphabet is that of base32hex in lower case, so that ids sort like the bytes they
// encode.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const (
	eventPrefix        = "evt_"
	deliveryPrefix     = "dlv_"
	subscriptionPrefix = "sub_"
	refBytes           = 16
	refChars           = 26
	subscriptionChars  = 20 // 100 random bits
)

// EventID encodes where an event lies, so that no index stands between an id and its
// event.
func EventID(ref EventRef) string {
	id := make([]byte, 0, len(eventPrefix)+refChars)
	return string(appendRef(append(id, eventPrefix...), ref))
}

// ParseEventID is the inverse of EventID; ok is false for any other id, a client's own
// included.
func ParseEventID(id string) (ref EventRef, ok bool) {
	text, found := strings.CutPrefix(id, eventPrefix)
	if !found {
		return EventRef{}, false
	}
	return decodeRef(text)
}

// DeliveryID encodes the event and the subscription of a delivery.
func DeliveryID(ref EventRef, sub SubscriptionID) string {
	return deliveryPrefix + encodeRef(ref) + strings.TrimPrefix(string(sub), subscriptionPrefix)
}

// ParseDeliveryID is the inverse of DeliveryID.
func ParseDeliveryID(id string) (ref EventRef, sub SubscriptionID, ok bool) {
	text, found := strings.CutPrefix(id, deliveryPrefix)
	if !found || len(text) != refChars+subscriptionChars {
		return EventRef{}, "", false
	}
	ref, ok = decodeRef(text[:refChars])
	return ref, SubscriptionID(subscriptionPrefix + text[refChars:]), ok
}

func encodeRef(ref EventRef) string { return string(appendRef(make([]byte, 0, refChars), ref)) }

func appendRef(id []byte, ref EventRef) []byte {
	var raw [refBytes]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(ref.Journal))
	binary.BigEndian.PutUint64(raw[8:], ref.Sequence)
	return idEncoding.AppendEncode(id, raw[:])
}

func decodeRef(text string) (EventRef, bool) {
	if len(text) != refChars {
		return EventRef{}, false
	}
	var raw [refBytes]byte
	if _, err := idEncoding.Decode(raw[:], []byte(text)); err != nil {
		return EventRef{}, false
	}
	ref := EventRef{
		Journal:  JournalID(binary.BigEndian.Uint64(raw[:8])),
		Sequence: binary.BigEndian.Uint64(raw[8:]),
	}
	// One event has one id: the padding bits of the last character must be zero.
	return ref, encodeRef(ref) == text
}

// NewJournalID draws the name of a journal.
func NewJournalID() JournalID {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return JournalID(binary.BigEndian.Uint64(raw[:]))
}

// NewSubscriptionID draws a random id.
func NewSubscriptionID() SubscriptionID { return SubscriptionID(NewID(subscriptionPrefix)) }

// NewID draws 100 random bits behind a prefix.
func NewID(prefix string) string {
	var raw [13]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return prefix + idEncoding.EncodeToString(raw[:])[:subscriptionChars]
}
