package egress

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"pannier/engine"
)

// reservedHeaders belong to the engine, or to HTTP's framing.
var reservedHeaders = []string{
	"traceparent", "tracestate", "host", "transfer-encoding", "connection", "upgrade", "te",
	"trailer", "expect",
}

// reservedPrefixes are reserved with whatever follows them.
var reservedPrefixes = []string{"webhook-", "content-", "proxy-"}

// CheckHeaders checks a subscription's own headers at registration. Errors: invalid, at
// /headers or /headers/<name>; a value is never repeated in them. Of several wrong headers
// the first by name is reported.
func CheckHeaders(headers map[string]string) error {
	if len(headers) > engine.MaxHeaders {
		return engine.Invalid("/headers", "must not hold more than %d headers", engine.MaxHeaders)
	}
	total := 0
	seen := make(map[string]bool, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		total += len(name) + len(headers[name])
		pointer := "/headers/" + engine.PointerToken(name)
		if reason := checkHeader(name, headers[name]); reason != "" {
			return engine.Invalid(pointer, "%s", reason)
		}
		canonical := http.CanonicalHeaderKey(name)
		if seen[canonical] {
			return engine.Invalid(pointer, "is given twice")
		}
		seen[canonical] = true
	}
	if total > engine.MaxHeaderBytes {
		return engine.Invalid("/headers", "must not be longer than %d bytes in all", engine.MaxHeaderBytes)
	}
	return nil
}

// checkHeader gives the reason why a header is refused. The rules for tokens and values
// are those net/http applies when it sends, where it would be too late.
func checkHeader(name, value string) string {
	if !httpguts.ValidHeaderFieldName(name) {
		return "is not a valid header name"
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return "has a value with characters that a header cannot hold"
	}
	lower := strings.ToLower(name)
	reserved := slices.Contains(reservedHeaders, lower) ||
		slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) })
	if reserved {
		return "is reserved"
	}
	return ""
}
