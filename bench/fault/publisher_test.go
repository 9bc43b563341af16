package fault

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pannier/bench/history"
)

func TestEncodeKeepsDataByteForByte(t *testing.T) {
	t.Parallel()
	p := newPublisher(&workload{seed: 1}, 0)
	q := posting{events: p.batch(3, ""), lines: true}
	q.events[0].ID = "given"
	media, body := encode(&q)
	if media != jsonLines {
		t.Errorf("media type = %s", media)
	}
	for n, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
		var got struct {
			ID, Topic, Tenant string
			Data              json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		want := q.events[n]
		if got.ID != want.ID || got.Topic != want.Topic || got.Tenant != want.Tenant || string(got.Data) != want.Data {
			t.Errorf("line %d = %s, want %+v", n, line, want)
		}
		var data struct{ Ref string }
		if err := json.Unmarshal(got.Data, &data); err != nil || data.Ref != want.Ref {
			t.Errorf("data %s does not hold its ref %s", got.Data, want.Ref)
		}
	}
}

func TestAnsweredReadsBothShapes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body string
		want []string
	}{
		{`{"id":"a"}`, []string{"a"}},
		{`{"accepted":2,"ids":["a","b"]}`, []string{"a", "b"}},
		{`<html>`, nil},
	}
	for _, tt := range tests {
		if got := answered([]byte(tt.body)); !slices.Equal(got, tt.want) {
			t.Errorf("answered(%s) = %v, want %v", tt.body, got, tt.want)
		}
	}
}

// Only an answer that promises that nothing was accepted is a failure.
func TestEndOfAnAnswer(t *testing.T) {
	t.Parallel()
	tests := map[int]history.Type{
		http.StatusAccepted: history.OK, http.StatusCreated: history.OK, http.StatusNoContent: history.OK,
		http.StatusConflict: history.Fail, http.StatusInsufficientStorage: history.Fail, http.StatusTooManyRequests: history.Fail,
		0: history.Info, http.StatusServiceUnavailable: history.Info, http.StatusInternalServerError: history.Info,
		http.StatusGatewayTimeout: history.Info,
	}
	for status, want := range tests {
		if got := (answer{status: status}).end(); got != want {
			t.Errorf("end of %d = %s, want %s", status, got, want)
		}
	}
}

// What a publisher posts depends on the seed alone, whatever the others do.
func TestWorkloadRepeats(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (refs []string) {
		p := newPublisher(&workload{seed: seed}, 2)
		for range 50 {
			for _, e := range p.request().events {
				refs = append(refs, e.Ref+e.Topic+e.Tenant+e.Data)
			}
		}
		return refs
	}
	if !slices.Equal(draw(7), draw(7)) {
		t.Error("one seed gave two workloads")
	}
	if slices.Equal(draw(7), draw(8)) {
		t.Error("two seeds gave one workload")
	}
}
