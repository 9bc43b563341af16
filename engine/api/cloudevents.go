package api

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"pannier/engine"
)

// maxAttributeName bounds the name of an extension attribute; CloudEvents 1.0 section 3.1
// asks for 20 at most.
const maxAttributeName = 20

// cloudEvent reads a CloudEvent 1.0 in the JSON event format. Its type is the topic, its id
// the event's id where that fits the contract's pattern (else a new one is made), its time
// the timestamp. source, the other context attributes and the extension attributes are
// kept as they are and reach the receiver as the member `extensions`.
func (s *scanner) cloudEvent(draft *engine.Draft) error {
	var seen [len(requiredAttributes)]bool
	kept := []byte{'{'}
	err := s.members(func(name []byte, value jsontext.Value) {
		if value.Kind() == 'n' && string(name) != "data" {
			return // JSON format section 2.2: null is an attribute that is not set
		}
		if at := slices.Index(requiredAttributes[:], string(name)); at >= 0 {
			seen[at] = true
		}
		switch string(name) {
		case "specversion":
			if s.text("/specversion", value) != "1.0" {
				s.refuse("/specversion", `must be "1.0"`)
			}
		case "id":
			s.cloudID(draft, value)
		case "type":
			draft.Topic = s.topic("/type", value)
		case "time":
			draft.Timestamp = s.instant("/time", value)
		case "data":
			draft.Data = []byte(value)
		case "data_base64":
			s.refuse("/data_base64", "binary data cannot be delivered: send data")
		default:
			kept = s.keepAttribute(kept, name, value)
		}
	})
	if err != nil {
		return err
	}
	for at, name := range requiredAttributes {
		if !seen[at] {
			s.refuse("/"+name, "is required")
		}
	}
	if draft.Data == nil {
		draft.Data = []byte("null")
	}
	if len(kept)+1 > engine.MaxExtensionsBytes {
		s.refuse("", "the attributes beside data are too large")
	}
	draft.Extensions = append(kept, '}')
	return nil
}

// requiredAttributes are those of CloudEvents 1.0 section 3.1.
var requiredAttributes = [...]string{"specversion", "id", "source", "type"}

// cloudID takes the id where it fits; CloudEvents allows any string that is not empty.
func (s *scanner) cloudID(draft *engine.Draft, value jsontext.Value) {
	id := s.text("/id", value)
	if value.Kind() == '"' && id == "" {
		s.refuse("/id", "must not be empty")
	}
	if isEventID(id) {
		draft.ID = id
	}
}

// keepAttribute adds a context or extension attribute to those kept.
func (s *scanner) keepAttribute(kept, name []byte, value jsontext.Value) []byte {
	at := "/" + engine.PointerToken(string(name))
	switch string(name) {
	case "source":
		if s.text(at, value) == "" && value.Kind() == '"' {
			s.refuse(at, "must not be empty")
		}
	case "subject", "datacontenttype", "dataschema":
		s.text(at, value)
	default:
		if !isAttribute(name) {
			s.refuse(at, "is not the name of an attribute: 1 to 20 of a-z 0-9")
			return kept
		}
		if kind := value.Kind(); kind == '{' || kind == '[' {
			s.refuse(at, "must be a string, a number or a boolean")
		}
	}
	if len(kept) > 1 {
		kept = append(kept, ',')
	}
	kept = append(kept, '"')
	kept = append(kept, name...)
	kept = append(kept, '"', ':')
	return append(kept, value...)
}

func isAttribute(name []byte) bool {
	return len(name) > 0 && len(name) <= maxAttributeName &&
		!bytes.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}
