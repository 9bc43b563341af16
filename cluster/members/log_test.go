package members

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, line, want string
	}{
		{"Debug", "[DEBUG] memberlist: Stream connection", "level=DEBUG msg=memberlist text=\"Stream connection\""},
		{"Info", "[INFO] memberlist: x", "level=INFO msg=memberlist text=x"},
		{"Warn", "[WARN] memberlist: x", "level=WARN msg=memberlist text=x"},
		{"Error", "[ERR] memberlist: x", "level=ERROR msg=memberlist text=x"},
		{"NoName", "[ERR] x", "level=ERROR msg=memberlist text=x"},
		{"NoLevel", "x", "level=INFO msg=memberlist text=x"},
		{"NoEnd", "[x", "level=INFO msg=memberlist text=[x"},
		{"Refusal", "[ERR] memberlist: " + refusal, "level=DEBUG msg=memberlist text=\"member refused\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			newLog(t.Context(), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).Print(test.line)
			_, got, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), " ")
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
