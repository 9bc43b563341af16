package api

import (
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const mergePatchType = "application/merge-patch+json"

// mergePatch applies a JSON merge patch (RFC 7396 section 2) to a document: members of an
// object are merged, null removes, anything else replaces. Both must be valid JSON.
func mergePatch(document, patch jsontext.Value) jsontext.Value {
	if patch.Kind() != '{' {
		return patch
	}
	members := make(map[string]jsontext.Value)
	if len(document) > 0 && document.Kind() == '{' {
		must(jsonv2.Unmarshal(document, &members))
	}
	var changes map[string]jsontext.Value
	must(jsonv2.Unmarshal(patch, &changes))
	for name, value := range changes {
		if value.Kind() == 'n' {
			delete(members, name)
		} else {
			members[name] = mergePatch(members[name], value)
		}
	}
	merged, err := jsonv2.Marshal(members)
	must(err)
	return merged
}

// must ends the request on what was made impossible before.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
