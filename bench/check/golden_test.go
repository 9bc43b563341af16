package check_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pannier/bench/check"
	"pannier/bench/history"
)

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func replaceData(text, data string) string { return strings.Replace(text, `"@"`, data, 1) }

// The events of the golden history.
var (
	plain    = posted("plain", "trip.created")   // to good, at the first attempt
	retried  = posted("retried", "trip.created") // to good, at the third
	given    = history.Posted{Ref: "given", ID: "given-1", Topic: "trip.created", Data: `{"ref":"given","n": 1.0}`}
	batched1 = posted("batched1", "trip.created")  // one request without an answer that
	batched2 = posted("batched2", "bike.seen")     // was accepted, to good and wide
	lost     = posted("lost", "trip.created")      // without an answer, not accepted
	refused  = posted("refused", "trip.created")   // 409
	hopeless = posted("hopeless", "doom.imminent") // a dead letter of wide
	again    = posted("again", "trip.created")     // repeated after a kill
	late     = posted("late", "trip.created")      // after the secret was rotated
	quiet    = posted("quiet", "calm.kept")        // waits while its subscription is disabled
	doomed   = posted("doomed", "bye.now")         // to what is deleted
)

// golden is a history in which everything happens and nothing is wrong.
func golden() []history.Record {
	b := newBuilder()
	good, wide := settings("good", "trip.*"), settings("wide", "bike.seen", "doom.imminent")
	calm, bye := settings("calm", "calm.kept"), settings("bye", "bye.*")
	wide.MaxRetries = 2
	for n, w := range []history.Settings{good, wide, calm, bye} {
		at := time.Duration(n) * 10 * ms
		b.change(history.OpCreate, []string{"good", "wide", "calm", "bye"}[n], w, at, at+5*ms)
	}
	try := func(name string, e history.Posted, number int, at time.Duration, status int) {
		b.attempt(name, e, number, secretOf(name, 0), at, at+20*ms, status)
	}
	b.publish(1*s, 1*s+3*ms, history.OK, true, plain)
	try("good", plain, 1, 1*s+5*ms, 200)
	b.publish(2*s, 2*s+3*ms, history.OK, true, retried)
	try("good", retried, 1, 2*s+5*ms, 500)
	try("good", retried, 2, 3*s+100*ms, 0)
	try("good", retried, 3, 4*s+200*ms, 302)
	b.publish(2*s+100*ms, 2*s+103*ms, history.OK, true, given)
	try("good", given, 1, 2*s+105*ms, 204)
	b.publish(2*s+150*ms, 2*s+153*ms, history.OK, true, given) // once more, answered alike
	b.accepted = b.accepted[:len(b.accepted)-1]
	b.publish(2*s+200*ms, 2*s+203*ms, history.Fail, false, refused)
	b.publish(2*s+300*ms, 2*s+303*ms, history.OK, true, hopeless)
	try("wide", hopeless, 1, 2*s+310*ms, 500)
	try("wide", hopeless, 2, 3*s+400*ms, 500)
	b.down("wide", 4*s, 4*s+700*ms) // the third attempt found it down
	calm.Enabled = false
	b.publish(2*s+400*ms, 2*s+410*ms, history.OK, true, quiet)
	b.change(history.OpUpdate, "calm", calm, 2*s+405*ms, 2*s+408*ms)
	b.publish(5*s+700*ms, 6*s+100*ms, history.Info, true, batched1, batched2)
	b.publish(5*s+600*ms, 6*s+200*ms, history.Info, false, lost)
	b.publish(5*s+500*ms, 5*s+503*ms, history.OK, true, again)
	try("good", again, 1, 5*s+510*ms, 200)
	b.publish(5*s+550*ms, 5*s+553*ms, history.OK, true, doomed)
	try("bye", doomed, 1, 5*s+560*ms, 500)
	b.kill(6*s, 6*s+5*ms)
	try("good", again, 1, 6*s+500*ms, 200)
	try("good", batched1, 1, 6*s+510*ms, 200)
	try("wide", batched2, 1, 6*s+510*ms, 200)
	b.change(history.OpDelete, "bye", history.Settings{}, 6*s+520*ms, 6*s+530*ms)
	calm.Enabled = true
	b.change(history.OpUpdate, "calm", calm, 7*s, 7*s+5*ms)
	try("calm", quiet, 1, 7*s+10*ms, 200)
	rotated := good
	rotated.Secret = secretOf("good", 1)
	b.change(history.OpRotate, "good", rotated, 8*s, 8*s+5*ms)
	b.publish(9*s, 9*s+3*ms, history.OK, true, late)
	b.attempt("good", late, 1, secretOf("good", 1), 9*s+5*ms, 9*s+10*ms, 200)
	for _, e := range []history.Posted{plain, retried, given, again, batched1, late} {
		b.row("good", e, "delivered", 1)
	}
	b.row("wide", batched2, "delivered", 1)
	b.row("wide", hopeless, "dead", 3)
	b.row("calm", quiet, "delivered", 1)
	return b.finish(20 * s)
}

// judge also takes every history through its file form.
func judge(t *testing.T, records []history.Record) *check.Report {
	t.Helper()
	var file bytes.Buffer
	encoder := json.NewEncoder(&file)
	for _, r := range records {
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := history.Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	report, err := check.Check(loaded)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestGoldenHistoryPasses(t *testing.T) {
	t.Parallel()
	report := judge(t, golden())
	for _, v := range report.Shown {
		t.Error(v)
	}
	want := check.Report{Accepted: 8, Unknown: 3, Deliveries: 8, DeadLetters: 1, Attempts: 14, Kills: 1}
	got := *report
	got.Repeats, got.Counts, got.Shown = nil, nil, nil
	if got.Accepted != want.Accepted || got.Unknown != want.Unknown || got.Deliveries != want.Deliveries ||
		got.DeadLetters != want.DeadLetters || got.Attempts != want.Attempts || got.Kills != want.Kills {
		t.Errorf("report = %+v, want %+v", got, want)
	}
	if len(report.Repeats) != 1 || report.Repeats[0].Before != 470*ms {
		t.Errorf("repeats = %v, want one, 470 ms before the kill", report.Repeats)
	}
}

func TestOrderOfRecordsDoesNotMatter(t *testing.T) {
	t.Parallel()
	records := golden()
	done := slices.IndexFunc(records, func(r history.Record) bool { return r.Type == history.Read })
	slices.Reverse(records[:done]) // no two operations of the golden history begin or end at once
	if report := judge(t, records); !report.OK() {
		t.Errorf("broken: %v", report.Broken())
	}
}

// An answer that came when the server no longer waited for it was no success to it.
func TestLateAnswerMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	b.change(history.OpCreate, "good", settings("good", "trip.*"), 0, 5*ms)
	b.publish(1*s, 1*s+5*ms, history.OK, true, plain)
	b.attempt("good", plain, 1, secretOf("good", 0), 1*s+10*ms, 11*s, 200)
	b.attempt("good", plain, 2, secretOf("good", 0), 12*s+100*ms, 12*s+110*ms, 200)
	b.row("good", plain, "delivered", 2)
	if report := judge(t, b.finish(20*s)); !report.OK() {
		t.Errorf("broken: %v", report.Shown)
	}
}

func TestUnfinishedRunIsNoHistory(t *testing.T) {
	t.Parallel()
	records := golden()
	if _, err := check.Check(records[:len(records)-1]); err == nil {
		t.Error("a history without its final reading was judged")
	}
}
