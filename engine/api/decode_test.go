package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pannier/engine"
)

// sample is a vehicle position of about 600 bytes, as a fleet posts it.
var sample = []byte(`{"id":"evt_01J9ZK3V6Q","topic":"vehicle.position","timestamp":"2026-05-12T07:41:20.512Z",
 "data":{"device_id":"f34f5f60-0b5e-4f8f-9b4e-4bb1a2a6a6d1","provider_id":"c20e08cf-8488-46a6-a66c-5d8fb827f7e0",
  "telemetry_id":"7d0b0a51-7f0a-4a1f-8a36-9f2f5c1f7b10","timestamp":1778571680512,"trip_ids":["2b0f6e0e-6e8a-45d6-8f0c-8b5a4e8a9a55"],
  "journey_id":null,"location":{"lat":48.856613,"lng":2.352222,"altitude":35.1,"heading":124.0,"speed":4.6,"horizontal_accuracy":3.9,"satellites":11},
  "battery_percent":71,"tipped_over":false,"zone":"c20e08cf-8488-46a6-a66c-5d8fb827f7e0"}}`)

func event(members string) string { return `{"topic":"trip.created","data":1` + members + `}` }

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestDecodeRefusals holds the part of the bad-input table that is about a body of events.
func TestDecodeRefusals(t *testing.T) {
	t.Parallel()
	cloud := `"specversion":"1.0","source":"/s","type":"trip.created"`
	tests := []struct {
		name     string
		format   format
		body     string
		syntax   bool
		code     engine.Code
		pointers string
	}{
		{"empty body", formatJSON, ``, true, engine.CodeInvalid, ""},
		{"white space only", formatJSON, " \n", true, engine.CodeInvalid, ""},
		{"not JSON", formatJSON, `{topic}`, true, engine.CodeInvalid, ""},
		{"cut off", formatJSON, `{"topic":"trip.created","data":[1,`, true, engine.CodeInvalid, ""},
		{"trailing data", formatJSON, event("") + `x`, true, engine.CodeInvalid, ""},
		{"a second event", formatJSON, event("") + event(""), true, engine.CodeInvalid, ""},
		{"duplicate member", formatJSON, event(`,"topic":"a"`), true, engine.CodeInvalid, "/topic"},
		{"duplicate member by escape", formatJSON, event(`,"\u0074opic":"a"`), true, engine.CodeInvalid, "/topic"},
		{"duplicate member deep in data", formatJSON, `{"topic":"a","data":{"b":[{"c":1,"c":2}]}}`, true, engine.CodeInvalid, "/data/b/0/c"},
		{"invalid UTF-8 in data", formatJSON, "{\"topic\":\"a\",\"data\":\"\xff\"}", true, engine.CodeInvalid, ""},
		{"invalid UTF-8 in a name", formatJSON, "{\"topic\":\"a\",\"data\":{\"\xc3\":1}}", true, engine.CodeInvalid, ""},
		{"lone surrogate", formatJSON, `{"topic":"a","data":"\ud800"}`, true, engine.CodeInvalid, ""},
		{"NUL", formatJSON, "{\"topic\":\"a\",\"data\":\"\x00\"}", true, engine.CodeInvalid, ""},
		{"byte order mark", formatJSON, "\xef\xbb\xbf" + event(""), true, engine.CodeInvalid, ""},
		{"data one too deep", formatJSON, `{"topic":"a","data":` + nested(65) + `}`, true, engine.CodeInvalid, "/data"},
		{"depth 9000", formatJSON, `{"topic":"a","data":` + nested(9000) + `}`, true, engine.CodeInvalid, "/data"},
		{"depth beyond the decoder", formatJSON, `{"topic":"a","data":` + nested(20_000) + `}`, true, engine.CodeInvalid, ""},
		{"syntax is told before fields", formatJSON, `{"topic":5,"data":[}`, true, engine.CodeInvalid, ""},

		{"a string", formatJSON, `"x"`, false, engine.CodeInvalid, "\"\""},
		{"null", formatJSON, `null`, false, engine.CodeInvalid, "\"\""},
		{"no members", formatJSON, `{}`, false, engine.CodeInvalid, "/topic /data"},
		{"unknown member", formatJSON, event(`,"a/b~":1`), false, engine.CodeInvalid, "/a~1b~0"},
		{"name in capitals", formatJSON, `{"Topic":"a","topic":"a","data":1}`, false, engine.CodeInvalid, "/Topic"},
		{"topic of the wrong type", formatJSON, `{"topic":5,"data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic empty", formatJSON, `{"topic":"","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic 129 bytes", formatJSON, `{"topic":"` + strings.Repeat("a", 129) + `","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic of 17 segments", formatJSON, `{"topic":"a` + strings.Repeat(".a", 16) + `","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic with a leading dot", formatJSON, `{"topic":".a","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic with a double dot", formatJSON, `{"topic":"a..b","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic with a space", formatJSON, `{"topic":"a b","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"topic a pattern", formatJSON, `{"topic":"a.*","data":1}`, false, engine.CodeInvalid, "/topic"},
		{"id empty", formatJSON, event(`,"id":""`), false, engine.CodeInvalid, "/id"},
		{"id with a dot", formatJSON, event(`,"id":"a.b"`), false, engine.CodeInvalid, "/id"},
		{"id with a line break", formatJSON, event(`,"id":"a\r\nb"`), false, engine.CodeInvalid, "/id"},
		{"id 65 bytes", formatJSON, event(`,"id":"` + strings.Repeat("a", 65) + `"`), false, engine.CodeInvalid, "/id"},
		{"id null", formatJSON, event(`,"id":null`), false, engine.CodeInvalid, "/id"},
		{"timestamp in year 0", formatJSON, event(`,"timestamp":"0000-01-01T00:00:00Z"`), false, engine.CodeInvalid, "/timestamp"},
		{"timestamp in year 0 once in UTC", formatJSON, event(`,"timestamp":"0001-01-01T00:00:00+01:00"`), false, engine.CodeInvalid, "/timestamp"},
		{"timestamp in year 10000", formatJSON, event(`,"timestamp":"10000-01-01T00:00:00Z"`), false, engine.CodeInvalid, "/timestamp"},
		{"timestamp not RFC 3339", formatJSON, event(`,"timestamp":"2026-05-12 07:41"`), false, engine.CodeInvalid, "/timestamp"},
		{"timestamp a number", formatJSON, event(`,"timestamp":1778571680512`), false, engine.CodeInvalid, "/timestamp"},
		{"tenant with a slash", formatJSON, event(`,"tenant":"a/b"`), false, engine.CodeInvalid, "/tenant"},
		{"tenant 65 bytes", formatJSON, event(`,"tenant":"` + strings.Repeat("a", 65) + `"`), false, engine.CodeInvalid, "/tenant"},
		{"several at once", formatJSON, `{"topic":1,"id":".","x":0}`, false, engine.CodeInvalid, "/topic /id /x /data"},
		{"one byte too large", formatJSON, eventOf(engine.MaxEventBytes + 1), false, engine.CodeTooLarge, "\"\""},

		{"empty array", formatJSON, `[]`, false, engine.CodeInvalid, "\"\""},
		{"item of an array", formatJSON, `[` + event("") + `,{"topic":"","data":1}]`, false, engine.CodeInvalid, "/1/topic"},
		{"item not an object", formatJSON, `[7,` + event("") + `]`, false, engine.CodeInvalid, "/0"},
		{"array cut off", formatJSON, `[` + event("") + `,`, true, engine.CodeInvalid, ""},
		{"item too large", formatJSON, `[` + event("") + `,` + eventOf(engine.MaxEventBytes+1) + `]`, false, engine.CodeTooLarge, "/1"},
		{"one event too many", formatJSON, `[` + strings.Repeat(event("")+",", engine.MaxBatchEvents) + event("") + `]`, false, engine.CodeTooLarge, ""},
		{"no lines", formatLines, "\n \r\n", false, engine.CodeInvalid, "\"\""},
		{"a line", formatLines, event("") + "\n\n" + `{"topic":"","data":1}`, false, engine.CodeInvalid, "/1/topic"},
		{"a line is not JSON", formatLines, event("") + "\n{", true, engine.CodeInvalid, ""},
		{"two events on a line", formatLines, event("") + event(""), true, engine.CodeInvalid, ""},
		{"one line too many", formatLines, strings.Repeat(event("")+"\n", engine.MaxBatchEvents+1), false, engine.CodeTooLarge, ""},

		{"CloudEvent without members", formatCloudEvent, `{}`, false, engine.CodeInvalid, "/specversion /id /source /type"},
		{"CloudEvents 0.3", formatCloudEvent, `{"specversion":"0.3","id":"1","source":"/s","type":"a"}`, false, engine.CodeInvalid, "/specversion"},
		{"CloudEvent with binary data", formatCloudEvent, `{` + cloud + `,"id":"1","data_base64":"AA=="}`, false, engine.CodeInvalid, "/data_base64"},
		{"CloudEvent type no topic", formatCloudEvent, `{"specversion":"1.0","id":"1","source":"/s","type":"a b"}`, false, engine.CodeInvalid, "/type"},
		{"CloudEvent time", formatCloudEvent, `{` + cloud + `,"id":"1","time":"now"}`, false, engine.CodeInvalid, "/time"},
		{"CloudEvent attribute name", formatCloudEvent, `{` + cloud + `,"id":"1","my_ext":1}`, false, engine.CodeInvalid, "/my_ext"},
		{"CloudEvent attribute an object", formatCloudEvent, `{` + cloud + `,"id":"1","ext":{}}`, false, engine.CodeInvalid, "/ext"},
		{"CloudEvent attributes too large", formatCloudEvent, `{` + cloud + `,"id":"1","ext":"` + strings.Repeat("x", engine.MaxExtensionsBytes) + `"}`, false, engine.CodeInvalid, "\"\""},
		{"CloudEvent id empty", formatCloudEvent, `{` + cloud + `,"id":""}`, false, engine.CodeInvalid, "/id"},
		{"CloudEvents not in an array", formatCloudEvents, `{` + cloud + `,"id":"1"}`, false, engine.CodeInvalid, "\"\""},
		{"one CloudEvent in an array", formatCloudEvent, `[{` + cloud + `,"id":"1"}]`, false, engine.CodeInvalid, "\"\""},
		{"CloudEvents item", formatCloudEvents, `[{` + cloud + `,"id":"1"},{` + cloud + `}]`, false, engine.CodeInvalid, "/1/id"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := decodeEvents([]byte(test.body), test.format)
			var e *engine.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *engine.Error", err)
			}
			if e.Code != test.code || e.Syntax != test.syntax {
				t.Errorf("got code %s, syntax %t (%s); want %s, %t", e.Code, e.Syntax, e.Message, test.code, test.syntax)
			}
			if got := pointersOf(e); got != test.pointers {
				t.Errorf("got pointers %s, want %s", got, test.pointers)
			}
		})
	}
}

func pointersOf(e *engine.Error) string {
	var pointers []string
	for _, f := range e.Fields {
		if f.Pointer == "" {
			f.Pointer = `""`
		}
		pointers = append(pointers, f.Pointer)
	}
	return strings.Join(pointers, " ")
}

// eventOf makes an event of exactly size bytes.
func eventOf(size int) string {
	empty := `{"topic":"a","data":""}`
	return `{"topic":"a","data":"` + strings.Repeat("x", size-len(empty)) + `"}`
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		format format
		body   string
		single bool
		want   []engine.Draft
	}{
		{"smallest", formatJSON, `{"topic":"a","data":null}`, true, []engine.Draft{{Topic: "a", Data: []byte("null")}}},
		{
			"data byte for byte", formatJSON, `{"topic":"a","data": {"n":9223372036854775809, "e":1e400,"z":1.0,"s":"\u00e9\/<\ud83d\udeb2" } }`, true,
			[]engine.Draft{{Topic: "a", Data: []byte(`{"n":9223372036854775809, "e":1e400,"z":1.0,"s":"\u00e9\/<\ud83d\udeb2" }`)}},
		},
		{"escaped names and strings", formatJSON, `{"t\u006fpic":"trip\u002ecreated","data":0}`, true, []engine.Draft{{Topic: "trip.created", Data: []byte("0")}}},
		{
			"all members", formatJSON, `{"id":"A-z_9","tenant":"t","topic":"a","data":[],"timestamp":"2026-05-12T09:41:20.5+02:00"}`, true,
			[]engine.Draft{{ID: "A-z_9", Tenant: "t", Topic: "a", Data: []byte("[]")}},
		},
		{"deepest data", formatJSON, `{"topic":"a","data":` + nested(64) + `}`, true, []engine.Draft{{Topic: "a", Data: []byte(nested(64))}}},
		{
			"brackets in strings are not depth", formatJSON, `{"topic":"a","data":"` + strings.Repeat("[{", 99) + `\""}`, true,
			[]engine.Draft{{Topic: "a", Data: []byte(`"` + strings.Repeat("[{", 99) + `\""`)}},
		},
		{"array of one is many", formatJSON, ` [ {"topic":"a","data":1} ] `, false, []engine.Draft{{Topic: "a", Data: []byte("1")}}},
		{
			"lines", formatLines, "\r\n{\"topic\":\"a\",\"data\":1}\r\n\n  {\"topic\":\"b\",\"data\":2}", false,
			[]engine.Draft{{Topic: "a", Data: []byte("1")}, {Topic: "b", Data: []byte("2")}},
		},
		{
			"CloudEvent", formatCloudEvent, `{"specversion":"1.0","id":"7","source":"/s","type":"a","subject":"b","time":null,"comexample":true,"datacontenttype":"application/json","data":{"x":1.0}}`, true,
			[]engine.Draft{{ID: "7", Topic: "a", Data: []byte(`{"x":1.0}`), Extensions: []byte(`{"source":"/s","subject":"b","comexample":true,"datacontenttype":"application/json"}`)}},
		},
		{
			"CloudEvent with a foreign id and no data", formatCloudEvent, `{"specversion":"1.0","id":"urn:a.b","source":"/s","type":"a"}`, true,
			[]engine.Draft{{Topic: "a", Data: []byte("null"), Extensions: []byte(`{"source":"/s"}`)}},
		},
		{
			"CloudEvents", formatCloudEvents, `[{"specversion":"1.0","id":"7","source":"/s","type":"a","data":null}]`, false,
			[]engine.Draft{{ID: "7", Topic: "a", Data: []byte("null"), Extensions: []byte(`{"source":"/s"}`)}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			drafts, single, err := decodeEvents([]byte(test.body), test.format)
			if err != nil || single != test.single || len(drafts) != len(test.want) {
				t.Fatalf("got %d drafts, single %t, %v; want %d, %t", len(drafts), single, err, len(test.want), test.single)
			}
			for i, want := range test.want {
				got := drafts[i]
				if got.ID != want.ID || got.Topic != want.Topic || got.Tenant != want.Tenant ||
					!bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
					t.Errorf("draft %d: got %+v, want %+v", i, got, want)
				}
			}
		})
	}
}

func TestDecodeLargest(t *testing.T) {
	t.Parallel()
	if _, _, err := decodeEvents([]byte(eventOf(engine.MaxEventBytes)), formatJSON); err != nil {
		t.Errorf("an event at the bound: %v", err)
	}
	most := strings.Repeat(event("")+"\n", engine.MaxBatchEvents)
	if drafts, _, err := decodeEvents([]byte(most), formatLines); err != nil || len(drafts) != engine.MaxBatchEvents {
		t.Errorf("a batch at the bound: %d drafts, %v", len(drafts), err)
	}
}

func TestDecodeNamesFewFields(t *testing.T) {
	t.Parallel()
	_, _, err := decodeEvents([]byte(`[`+strings.Repeat("1,", 99)+`1]`), formatJSON)
	var e *engine.Error
	if !errors.As(err, &e) || len(e.Fields) != maxFieldErrors {
		t.Errorf("got %v, want %d fields", err, maxFieldErrors)
	}
}

func TestLineIsNamed(t *testing.T) {
	t.Parallel()
	_, _, err := decodeEvents([]byte("\n"+event("")+"\n{"), formatLines)
	var e *engine.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, "line 3: ") {
		t.Errorf("got %v, want line 3", err)
	}
}

// A batch must not be kept in memory by one of its events.
func TestBatchDataIsCopied(t *testing.T) {
	t.Parallel()
	body := []byte(`[{"topic":"a","data":"kept"}]`)
	drafts, _, err := decodeEvents(body, formatJSON)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	if got := string(drafts[0].Data); got != `"kept"` {
		t.Errorf("got %s: the data lies in the body", got)
	}
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add(0, sample)
	f.Add(0, []byte(`[`+event("")+`,`+event(`,"id":"a"`)+`]`))
	f.Add(1, []byte(event("")+"\n\n"+event("")))
	f.Add(2, []byte(`{"specversion":"1.0","id":"7","source":"/s","type":"a","ext":1}`))
	f.Add(3, []byte(`[{"specversion":"1.0","id":"7","source":"/s","type":"a","data":{"\u00e9":[[]]}}]`))
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		form := format(kind & 3)
		drafts, _, err := decodeEvents(bytes.Clone(body), form)
		if err != nil {
			var e *engine.Error
			if !errors.As(err, &e) || (e.Code != engine.CodeInvalid && e.Code != engine.CodeTooLarge) {
				t.Fatalf("got %v, want invalid or too_large", err)
			}
			return
		}
		if form != formatLines && !json.Valid(body) {
			t.Fatal("accepted what is not JSON")
		}
		for _, d := range drafts {
			if !json.Valid(d.Data) || tooDeep(d.Data, engine.MaxDataDepth) || len(d.Data) > engine.MaxEventBytes {
				t.Fatalf("accepted data %q", d.Data)
			}
			absent := form >= formatCloudEvent && string(d.Data) == "null"
			if !absent && !bytes.Contains(body, d.Data) {
				t.Fatalf("data %q is not of the body", d.Data)
			}
			if d.Extensions != nil && !json.Valid(d.Extensions) {
				t.Fatalf("extensions %q", d.Extensions)
			}
			e := engine.Event{ID: "x", Topic: d.Topic, Data: d.Data, Extensions: d.Extensions}
			if !json.Valid(e.AppendBody(nil)) {
				t.Fatalf("the receiver would get %q", e.AppendBody(nil))
			}
		}
	})
}

func BenchmarkDecodeEvent(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decodeEvents(sample, formatJSON); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	for _, count := range []int{100, 1000} {
		body := []byte(strings.Repeat(strings.ReplaceAll(string(sample), "\n", " ")+"\n", count))
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, _, err := decodeEvents(body, formatLines); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
