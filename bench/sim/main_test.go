package main

import (
	"strings"
	"testing"
	"time"
)

func TestSummaryNamesEveryFault(t *testing.T) {
	t.Parallel()
	var one, several strings.Builder
	arguments := []string{"--seeds", "3", "--faults-for", "10s", "--settle-for", "1m"}
	if err := run(arguments, &one); err != nil {
		t.Fatal(err)
	}
	if err := run(append(arguments, "--workers", "3"), &several); err != nil {
		t.Fatal(err)
	}
	for _, name := range faultNames() {
		if !strings.Contains(one.String(), "\n"+name) {
			t.Errorf("the summary does not name %q:\n%s", name, one.String())
		}
	}
	_, got, _ := strings.Cut(several.String(), "\n")
	if _, want, _ := strings.Cut(one.String(), "\n"); got != want {
		t.Errorf("with several workers the sum is\n%swant\n%s", got, want)
	}
}

func TestOnlyOneFault(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run([]string{"--seeds", "1", "--fault", "flood"}, &out); err == nil {
		t.Error("a fault that does not exist was accepted")
	}
	w := newWorld(sized(options{subscriptions: 4, faultsFor: time.Minute, settleFor: time.Minute, rate: time.Second, fault: "kill"}, 2), 2)
	w.play()
	if w.judge.verdict != nil {
		t.Fatal(w.judge.verdict)
	}
	for name, times := range w.judge.faults {
		if name != "kill" && times > 0 {
			t.Errorf("%s happened %d times, want only kills", name, times)
		}
	}
}
