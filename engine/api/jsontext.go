package api

import (
	"bytes"
	"encoding"
	"errors"
	"io"
	"reflect"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pannier/engine"
)

// decodeChecked reads a body whose syntax was checked.
func decodeChecked(body []byte, into any) error {
	err := jsonv2.Unmarshal(body, into, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*jsonv2.SemanticError](err)
	if !ok {
		return malformed(err)
	}
	return engine.Invalid(string(wrong.JSONPointer), "%s", wrongMember(wrong))
}

// wrongMember says what is wrong with a member in the words of JSON, not of Go.
func wrongMember(wrong *jsonv2.SemanticError) string {
	var e *memberError
	switch {
	case errors.Is(wrong, jsonv2.ErrUnknownName):
		return "is not a member that can be set"
	case errors.As(wrong, &e):
		return e.detail
	case wrong.GoType == nil:
		return "has the wrong type"
	}
	return "must be " + jsonKind(wrong.GoType)
}

// jsonKind names the kind of JSON value that a Go type is read from.
func jsonKind(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return jsonKind(t.Elem())
	default:
		panic("api: no body has a member of type " + t.String())
	}
}

// memberError is why a member's own decoder refused it, written for the caller.
type memberError struct{ detail string }

// Error implements error.
func (e *memberError) Error() string { return e.detail }

// checkSyntax checks everything about a JSON text that needs no type.
func checkSyntax(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	value, err := d.ReadValue()
	if err != nil {
		return malformed(err)
	}
	if tooDeep(value, engine.MaxDataDepth) {
		return deep("")
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return engine.Malformed("something follows the JSON value")
	}
	return nil
}

// malformed turns what the JSON decoder refused into a 400.
func malformed(err error) error {
	if errors.Is(err, io.EOF) {
		return engine.Malformed("the body is empty")
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return engine.Malformed("the body is not JSON")
	}
	pointer := string(syntax.JSONPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		e := engine.Malformed("the member %s is there twice", pointer)
		e.Fields = []engine.FieldError{{Pointer: pointer, Detail: "is there twice"}}
		return e
	}
	return engine.Malformed("the body is not JSON in UTF-8: see byte %d", syntax.ByteOffset)
}

func deep(pointer string) error {
	e := engine.Malformed("the JSON is nested deeper than %d", engine.MaxDataDepth)
	e.Fields = []engine.FieldError{{Pointer: pointer, Detail: "is nested too deeply"}}
	return e
}

// tooDeep tells whether valid JSON is nested deeper than most.
func tooDeep(value []byte, most int) bool {
	if bytes.Count(value, []byte{'{'})+bytes.Count(value, []byte{'['}) <= most {
		return false // the usual case, at the speed of memory
	}
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// unquote gives the text of a valid JSON string, sharing its memory where it can.
func unquote(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		panic(err) // the decoder has checked it
	}
	return text
}
