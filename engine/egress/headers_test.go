package egress_test

import (
	"fmt"
	"strings"
	"testing"

	"pannier/engine"
	"pannier/engine/egress"
)

func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header, value, want string // want: the pointer; "": allowed
	}{
		{"plain", "X-City", "nantes", ""},
		{"authorization", "Authorization", "Bearer x", ""},
		{"empty value", "X-City", "", ""},
		{"tab inside", "X-City", "a\tb", ""},
		{"bytes above ASCII", "X-City", "é", ""},
		{"empty name", "", "x", "/headers/"},
		{"space in name", "X City", "x", "/headers/X City"},
		{"colon in name", ":authority", "x", "/headers/:authority"},
		{"line feed in name", "X\nY", "x", "/headers/X\nY"},
		{"not ASCII in name", "X-Cité", "x", "/headers/X-Cité"},
		{"slash in name is escaped", "a/b~c", "x", "/headers/a~1b~0c"},
		{"carriage return in value", "X-City", "a\rb", "/headers/X-City"},
		{"line feed in value", "X-City", "a\nb: c", "/headers/X-City"},
		{"zero byte in value", "X-City", "a\x00", "/headers/X-City"},
		{"reserved", "Host", "x", "/headers/Host"},
		{"reserved in other case", "hOsT", "x", "/headers/hOsT"},
		{"not quite reserved", "Hosts", "x", ""},
		{"webhook prefix", "Webhook-Id", "x", "/headers/Webhook-Id"},
		{"any webhook name", "webhook-city", "x", "/headers/webhook-city"},
		{"content prefix", "content-language", "x", "/headers/content-language"},
		{"proxy prefix", "Proxy-Authorization", "x", "/headers/Proxy-Authorization"},
		{"traceparent", "Traceparent", "x", "/headers/Traceparent"},
		{"tracestate", "tracestate", "x", "/headers/tracestate"},
		{"transfer-encoding", "Transfer-Encoding", "chunked", "/headers/Transfer-Encoding"},
		{"connection", "Connection", "close", "/headers/Connection"},
		{"upgrade", "Upgrade", "h2c", "/headers/Upgrade"},
		{"te", "TE", "trailers", "/headers/TE"},
		{"trailer", "Trailer", "x", "/headers/Trailer"},
		{"expect", "Expect", "100-continue", "/headers/Expect"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := egress.CheckHeaders(map[string]string{test.header: test.value})
			if (err == nil) != (test.want == "") || (err != nil && pointerOf(err) != test.want) {
				t.Errorf("got %v, want an error at %q", err, test.want)
			}
		})
	}
}

func TestCheckHeadersBounds(t *testing.T) {
	t.Parallel()
	many := make(map[string]string)
	for i := range engine.MaxHeaders {
		many[fmt.Sprintf("X-%d", i)] = "x"
	}
	if err := egress.CheckHeaders(many); err != nil {
		t.Errorf("%d headers: %v", len(many), err)
	}
	many["X-One-More"] = "x"
	if err := egress.CheckHeaders(many); pointerOf(err) != "/headers" {
		t.Errorf("%d headers: %v", len(many), err)
	}
	largest := map[string]string{"X-A": strings.Repeat("a", engine.MaxHeaderBytes-len("X-A"))}
	if err := egress.CheckHeaders(largest); err != nil {
		t.Errorf("%d bytes: %v", engine.MaxHeaderBytes, err)
	}
	largest["X-A"] += "a"
	if err := egress.CheckHeaders(largest); pointerOf(err) != "/headers" {
		t.Errorf("%d bytes: %v", engine.MaxHeaderBytes+1, err)
	}
	if err := egress.CheckHeaders(nil); err != nil {
		t.Errorf("no headers: %v", err)
	}
}

func TestCheckHeadersTwice(t *testing.T) {
	t.Parallel()
	err := egress.CheckHeaders(map[string]string{"X-City~": "a", "x-city~": "canary"})
	if pointerOf(err) != "/headers/x-city~0" || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}
