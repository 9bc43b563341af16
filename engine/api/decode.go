package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pannier/engine"
	"pannier/engine/match"
)

// maxFieldErrors bounds how many wrong fields one answer names.
const maxFieldErrors = 32

// format says how events lie in a body.
type format int

const (
	formatJSON        format = iota // one event, or an array of events
	formatLines                     // one event a line
	formatCloudEvent                // one CloudEvent
	formatCloudEvents               // an array of CloudEvents
)

// decodeEvents reads the events of a body and checks all there is to check without the
// engine. The whole body is scanned, so that bad syntax (400) is told before wrong fields
// (422) and several wrong fields are told at once. Data is kept byte for byte; it shares
// memory with the body only where single is set.
//
// Errors: invalid, too_large.
func decodeEvents(body []byte, f format) (drafts []engine.Draft, single bool, err error) {
	s := scanners.Get().(*scanner)
	defer s.free()
	s.index = -1
	s.read(body)
	switch f {
	case formatLines:
		err = s.lines(body)
	case formatCloudEvent:
		s.cloud = true
		err = s.one()
	case formatCloudEvents:
		s.cloud = true
		err = s.many()
	default:
		if s.decoder.PeekKind() == '[' {
			err = s.many()
		} else {
			err = s.one()
		}
	}
	if err == nil {
		err = wrongFields(s.wrong)
	}
	if err != nil {
		return nil, false, err
	}
	return s.drafts, s.index < 0, nil
}

// scanner walks one body. index is the position of the event being read, -1 for a lone
// event, and line its line, 0 where there are none.
type scanner struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
	drafts  []engine.Draft
	wrong   []engine.FieldError
	index   int
	line    int
	cloud   bool
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// read gives the decoder a buffer that it reads in place: what it returns are parts of text.
func (s *scanner) read(text []byte) {
	s.buffer = *bytes.NewBuffer(text)
	s.decoder.Reset(&s.buffer)
}

// free puts the scanner back without a reference to the body.
func (s *scanner) free() {
	s.drafts, s.wrong, s.line, s.cloud = nil, nil, 0, false
	s.read(nil)
	scanners.Put(s)
}

// one reads a body that is a single event.
func (s *scanner) one() error {
	s.drafts = make([]engine.Draft, 0, 1)
	if err := s.event(); err != nil {
		return err
	}
	return s.end()
}

// many reads a body that is an array of events.
func (s *scanner) many() error {
	if s.decoder.PeekKind() != '[' {
		if _, err := s.decoder.ReadValue(); err != nil {
			return malformed(err)
		}
		s.refuse("", "must be an array of events")
		return s.end()
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return malformed(err)
	}
	for s.index = 0; s.decoder.PeekKind() != ']'; s.index++ {
		if s.index == engine.MaxBatchEvents {
			return tooMany()
		}
		if err := s.event(); err != nil {
			return err
		}
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return malformed(err)
	}
	if s.index == 0 {
		return emptyBatch()
	}
	return s.end()
}

// lines reads a body of one event a line; blank lines do not count.
func (s *scanner) lines(body []byte) error {
	s.index = 0
	for line := range bytes.Lines(body) {
		s.line++
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 {
			continue
		}
		if s.index == engine.MaxBatchEvents {
			return tooMany()
		}
		s.read(line)
		err := s.event()
		if err == nil {
			err = s.end()
		}
		if err != nil {
			return atLine(err, s.line)
		}
		s.index++
	}
	if s.index == 0 {
		return emptyBatch()
	}
	return nil
}

func tooMany() error {
	return engine.Errorf(engine.CodeTooLarge, "a request may hold at most %d events", engine.MaxBatchEvents)
}

func emptyBatch() error { return engine.Invalid("", "the request holds no event") }

func atLine(err error, line int) error {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		e.Message = fmt.Sprintf("line %d: %s", line, e.Message)
	}
	return err
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if _, err := s.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return engine.Malformed("something follows the JSON value")
	}
	return nil
}

// event reads one event and checks its size.
func (s *scanner) event() error {
	var draft engine.Draft
	var err error
	if s.decoder.PeekKind() != '{' {
		if _, err = s.decoder.ReadValue(); err != nil {
			return malformed(err)
		}
		s.refuse("", "an event must be an object")
		return nil
	}
	if _, err = s.decoder.ReadToken(); err != nil {
		return malformed(err)
	}
	start := s.decoder.InputOffset() - 1
	if s.cloud {
		err = s.cloudEvent(&draft)
	} else {
		err = s.plainEvent(&draft)
	}
	if err != nil {
		return err
	}
	if s.decoder.InputOffset()-start > engine.MaxEventBytes {
		return &engine.Error{
			Code: engine.CodeTooLarge, Message: fmt.Sprintf("an event may have at most %d bytes", engine.MaxEventBytes),
			Fields: []engine.FieldError{{Pointer: s.pointer(""), Detail: "is too large"}},
		}
	}
	if s.index >= 0 {
		// Or one event that waits would keep a body of 8 MiB in memory.
		draft.Data = bytes.Clone(draft.Data)
	}
	s.drafts = append(s.drafts, draft)
	return nil
}

// members calls visit for each member of the object whose brace was just read. name is
// without quotes and escapes.
func (s *scanner) members(visit func(name []byte, value jsontext.Value)) error {
	for s.decoder.PeekKind() != '}' {
		quoted, err := s.decoder.ReadValue()
		if err != nil {
			return malformed(err)
		}
		value, err := s.decoder.ReadValue()
		if err != nil {
			return malformed(err)
		}
		if tooDeep(value, engine.MaxDataDepth) {
			return deep(s.pointer("/" + string(unquote(quoted))))
		}
		visit(unquote(quoted), value)
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return malformed(err)
	}
	return nil
}

// plainEvent reads an event of the contract's own form.
func (s *scanner) plainEvent(draft *engine.Draft) error {
	topic := false
	err := s.members(func(name []byte, value jsontext.Value) {
		switch string(name) {
		case "id":
			draft.ID = s.text("/id", value)
			s.checkID(draft.ID, value)
		case "topic":
			topic = true
			draft.Topic = s.topic("/topic", value)
		case "timestamp":
			draft.Timestamp = s.instant("/timestamp", value)
		case "tenant":
			draft.Tenant = s.text("/tenant", value)
			s.checkTenant(draft.Tenant, value)
		case "data":
			draft.Data = []byte(value)
		default:
			s.refuse("/"+engine.PointerToken(string(name)), "is not a member of an event")
		}
	})
	if err != nil {
		return err
	}
	if !topic {
		s.refuse("/topic", "is required")
	}
	if draft.Data == nil {
		s.refuse("/data", "is required")
	}
	return nil
}

// refuse notes a wrong member of the present event; at is its pointer inside the event.
func (s *scanner) refuse(at, detail string) {
	if len(s.wrong) == maxFieldErrors {
		return
	}
	if s.line > 0 {
		detail += fmt.Sprintf(" (line %d)", s.line)
	}
	s.wrong = append(s.wrong, engine.FieldError{Pointer: s.pointer(at), Detail: detail})
}

func (s *scanner) pointer(at string) string {
	if s.index < 0 {
		return at
	}
	return "/" + strconv.Itoa(s.index) + at
}

// text reads a string; "" if it is none.
func (s *scanner) text(at string, value jsontext.Value) string {
	if value.Kind() != '"' {
		s.refuse(at, "must be a string")
		return ""
	}
	return string(unquote(value))
}

func (s *scanner) topic(at string, value jsontext.Value) string {
	if value.Kind() != '"' {
		s.refuse(at, "must be a string")
		return ""
	}
	topic := string(unquote(value))
	if err := match.ParseTopic(topic); err != nil {
		s.refuse(at, err.Error())
	}
	return topic
}

func (s *scanner) instant(at string, value jsontext.Value) time.Time {
	if value.Kind() != '"' {
		s.refuse(at, "must be a string")
		return time.Time{}
	}
	t, err := parseInstant(unquote(value))
	if err != nil {
		s.refuse(at, err.Error())
	}
	return t
}

func (s *scanner) checkID(id string, value jsontext.Value) {
	if value.Kind() == '"' && !isEventID(id) {
		s.refuse("/id", "must be 1 to 64 of the characters A-Z a-z 0-9 _ -")
	}
}

func (s *scanner) checkTenant(tenant string, value jsontext.Value) {
	if value.Kind() == '"' && !isTenant(tenant) {
		s.refuse("/tenant", wrongTenant)
	}
}

// wrongTenant says what a tenant must be.
const wrongTenant = "must be 1 to 64 of the characters A-Z a-z 0-9 _ -"

func isTenant(s string) bool { return len(s) <= engine.MaxTenantBytes && isName(s) }

func isEventID(s string) bool { return len(s) <= engine.MaxEventIDBytes && isName(s) }

// isName tells whether s is made of the characters [A-Za-z0-9_-], at least one.
func isName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
