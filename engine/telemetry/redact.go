package telemetry

import (
	"log/slog"
	"regexp"
)

// What is masked. The types of secrets mask themselves: this is for texts that were made
// elsewhere and quote one.
var (
	secretText = regexp.MustCompile(`\b(whsec_|pnr_|(?i:bearer )\s*)[A-Za-z0-9+/=_.~-]+`)
	urlText    = regexp.MustCompile(`\b([A-Za-z][A-Za-z0-9+.-]*://)((?:[^\s"'/?#@]*@)?)([^\s"'/?#]*)([^\s"'?#]*)((?:[?#][^\s"']*)?)`)
)

// redactAttr masks secrets in an attribute before it is written. An error may quote the
// URL of an endpoint, whose path may be a token: only scheme and host stay.
func redactAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(redact(a.Value.String(), "$4"))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(redact(err.Error(), ""))
		}
	default:
	}
	return a
}

// redact masks secrets, and what a URL has beside scheme, host and the kept part.
func redact(text, path string) string {
	text = secretText.ReplaceAllString(text, "$1***")
	return urlText.ReplaceAllString(text, "$1$3"+path)
}
