package history_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pannier/bench/history"
)

func TestHistoryReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []history.Record{
		{At: log.Now(), Role: "publisher", Proc: "p", Type: history.Invoke, Op: history.OpPublish, ID: "1", Publish: &history.Publish{
			Events: []history.Posted{{Ref: "r", Topic: "a.b", Data: `{"ref":"r", "n": 1.0}`}},
		}},
		{At: log.Now(), Role: "receiver", Proc: "x", Type: history.Recv, Attempt: &history.Attempt{
			Name: "x", Body: "{}", Started: time.Second, Wall: time.Unix(1, 0).UTC(), Answer: history.Reset,
		}},
		{At: log.Now(), Role: "fault", Type: history.Caused, Op: history.OpKill, Fault: &history.Fault{Target: "server", From: 1, To: 2}},
	}
	for _, r := range want {
		log.Add(r)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := history.Load(file)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v, %v; want %+v", got, err, want)
	}
	if !reflect.DeepEqual(log.Records(), want) {
		t.Errorf("the log holds %+v", log.Records())
	}
}

func TestLogTakesRecordsAtOnce(t *testing.T) {
	t.Parallel()
	log, err := history.Create(filepath.Join(t.TempDir(), "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for range 100 {
				log.Add(history.Record{At: log.Now(), Type: history.Recv})
			}
		})
	}
	writing.Wait()
	if got := len(log.Records()); got != 800 {
		t.Errorf("%d records, want 800", got)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

func TestBrokenLineIsNamed(t *testing.T) {
	t.Parallel()
	_, err := history.Load(strings.NewReader("{\"type\":\"recv\"}\n{\"type\":"))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error = %v, want line 2", err)
	}
}
