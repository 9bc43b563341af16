package egress

import (
	"strconv"
	"testing"

	"pannier/engine"
)

func TestTargetsAreBounded(t *testing.T) {
	t.Parallel()
	known := newTargets(NewGuard(GuardOptions{}), "Pannier/1")
	for i := range maxTargets + 10 {
		s := &engine.Subscription{ID: engine.SubscriptionID(strconv.Itoa(i)), URL: "https://public.test/"}
		if _, err := known.get(s); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(known.bySubscription); n != maxTargets {
		t.Errorf("%d targets, want %d", n, maxTargets)
	}
}

func TestTargetIsMadeOncePerVersion(t *testing.T) {
	t.Parallel()
	known := newTargets(NewGuard(GuardOptions{}), "Pannier/1")
	s := &engine.Subscription{ID: "sub_1", URL: "https://public.test/", Version: 1}
	first, _ := known.get(s)
	again, _ := known.get(s)
	if first != again {
		t.Error("made twice for one version")
	}
	next := *s
	next.Version, next.URL = 2, "https://BÜCHER.test/"
	if _, err := known.get(&next); err == nil {
		t.Error("a refused URL was allowed")
	}
	next.URL = "https://bücher.test/"
	changed, err := known.get(&next)
	if err != nil || changed.request.Host != "xn--bcher-kva.test" {
		t.Errorf("got %+v, %v", changed, err)
	}
	if len(known.bySubscription) != 1 {
		t.Errorf("%d targets, want 1", len(known.bySubscription))
	}
}
