package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pannier/bench/history"
)

const (
	subscriptionsPath = "/v1/subscriptions"
	// steadyStreams is how many standing subscriptions take the steady stream.
	steadyStreams = 8
	// maxChanging bounds the subscriptions that are changed and deleted at any time.
	maxChanging = 5
	// burst is how many are made while a member is stopped, which does not hear of them.
	burst = 6
	// maxCreated bounds those made in a round.
	maxCreated = 60
	// patience is longer than any answer that comes at all.
	patience = 10 * time.Second
	// hangTimeout is the timeout of subscriptions at the site that hangs.
	hangTimeout = 2 * time.Second
)

// subscription is one as the harness wants it.
type subscription struct {
	history.Settings
	name, site, id string
	waits          bool // an operation on it counts only once the cluster is whole
	born           born
}

// admin makes, changes and deletes subscriptions, one operation after the other, each at a
// member drawn at random.
type admin struct {
	*round
	random   *rand.Rand
	standing []*subscription
	changing []*subscription
	made     []string // ids, to be deleted at the end
	created  int
	deferred []func() // ends of operations that count once the cluster is whole
	known    []*subscription
	mu       sync.Mutex // guards what an operation changes: those of a burst go on at once
	hurry    atomic.Bool
}

// born is when and by which member a creation was answered, for which topics, and when the next
// operation on it began: 0, none did.
type born struct {
	at, until time.Duration
	member    int
	topics    []string
	removed   bool // later: what was pending then was given up
}

func settings(retries int, topics ...string) history.Settings {
	return history.Settings{
		Topics: topics, Tenant: "default", Enabled: true, MaxRetries: retries, MinDelay: time.Second, Timeout: patience,
	}
}

// prepare makes the subscriptions that nobody changes: what they must get is certain for every
// event.
func (a *admin) prepare(ctx context.Context) bool {
	want := []*subscription{
		{name: "all", site: siteGood, Settings: settings(20, "*")},
		{name: "flaky", site: siteFlaky, Settings: settings(20, "trip.*")},
		{name: "slow", site: siteSlow, Settings: settings(20, topicMoved)},
		{name: "hang", site: siteHang, Settings: settings(20, topicZone)},
		{name: "late", site: siteLate, Settings: settings(20, topicTrip)},
		{name: "poison", site: sitePoison, Settings: settings(2, topicEnded)},
	}
	want[3].Timeout = hangTimeout
	for n := range steadyStreams {
		want = append(want, &subscription{name: steadyName + strconv.Itoa(n), site: siteGood, Settings: settings(20, "steady.*")})
	}
	for _, s := range want {
		s.name = a.prefix + s.name
		if !a.create(ctx, s) {
			a.problem("subscription %s could not be made in a whole cluster", s.name)
			return false
		}
		a.standing = append(a.standing, s)
	}
	return true
}

const steadyName = "steady"

// work changes something every now and then until ctx ends.
func (a *admin) work(ctx context.Context) {
	for pause(ctx, time.Duration(100+a.random.IntN(500))*time.Millisecond) {
		if !a.nemesis.unsure() {
			a.settled()
		}
		if a.hurry.Swap(false) {
			a.another(ctx, burst)
		}
		if len(a.changing) < 2 || (len(a.changing) < maxChanging && a.random.IntN(3) == 0) {
			a.another(ctx, 1)
			continue
		}
		a.touch(ctx, a.random.IntN(len(a.changing)))
	}
}

var patterns = [][]string{{"*"}, {"trip.*"}, {topicTrip, topicMoved}, {"zone.*", "steady.*"}, {topicEnded}}

// another makes n more subscriptions at once.
func (a *admin) another(ctx context.Context, n int) {
	var making sync.WaitGroup
	made := make([]*subscription, min(n, maxCreated-a.created))
	for i := range made {
		a.created++
		s := &subscription{
			name: a.prefix + "c" + strconv.Itoa(a.created), site: []string{siteGood, siteFlaky}[a.random.IntN(2)],
			Settings: settings(20, patterns[a.random.IntN(len(patterns))]...),
		}
		making.Go(func() {
			if a.create(ctx, s) {
				made[i] = s
			}
		})
	}
	making.Wait()
	a.changing = append(a.changing, slices.DeleteFunc(made, func(s *subscription) bool { return s == nil })...)
}

// touch changes or deletes the n-th subscription. One whose change has an unknown end is left
// alone from then on: the change may still take effect.
func (a *admin) touch(ctx context.Context, n int) {
	s := a.changing[n]
	if s.waits {
		return
	}
	next := s.Settings
	known := false
	switch chance := a.random.IntN(100); {
	case chance < 30:
		a.remove(ctx, s)
	case chance < 65:
		next.Topics = patterns[a.random.IntN(len(patterns))]
		known = a.update(ctx, s, next)
	default:
		next.Enabled = !next.Enabled
		known = a.update(ctx, s, next)
	}
	if !known {
		a.changing = slices.Delete(a.changing, n, n+1)
	}
}

func (s *subscription) document(next *history.Settings, url string) []byte {
	fields := map[string]any{"topics": next.Topics, "enabled": next.Enabled}
	if url != "" {
		fields["url"], fields["tenant"], fields["timeout"] = url, next.Tenant, next.Timeout.String()
		fields["retry"] = map[string]any{"max_retries": next.MaxRetries, "min_delay": "1s", "max_delay": "2s"}
	}
	text, _ := json.Marshal(fields) // of strings and numbers: it cannot fail
	return text
}

func (a *admin) create(ctx context.Context, s *subscription) bool {
	body := s.document(&s.Settings, a.receivers.endpoint(s.site, s.name))
	change := history.Change{Name: s.name, Settings: s.Settings}
	return a.operation(ctx, s, history.OpCreate, change, http.MethodPost, subscriptionsPath, body)
}

func (a *admin) update(ctx context.Context, s *subscription, next history.Settings) bool {
	change := history.Change{Name: s.name, Settings: next}
	done := a.operation(ctx, s, history.OpUpdate, change, http.MethodPatch, subscriptionsPath+"/"+s.id, s.document(&next, ""))
	if done {
		s.Settings = next
	}
	return done
}

func (a *admin) remove(ctx context.Context, s *subscription) {
	a.operation(ctx, s, history.OpDelete, history.Change{Name: s.name}, http.MethodDelete, subscriptionsPath+"/"+s.id, nil)
}

// operation asks one member, another one only when the first was not reached at all: what was
// sent twice could take effect twice, the second time after a later change.
func (a *admin) operation(ctx context.Context, s *subscription, op history.Op, change history.Change, method, path string, body []byte) bool {
	a.mu.Lock()
	a.operations++
	id, order := a.prefix+"op"+strconv.Itoa(a.operations), a.random.Perm(a.group.size)
	a.mu.Unlock()
	record := func(kind history.Type, c history.Change) {
		a.log.Add(history.Record{At: a.log.Now(), Role: "admin", Proc: "admin", Type: kind, Op: op, ID: id, Change: &c})
	}
	header := http.Header{"Content-Type": {plainJSON}}
	if method == http.MethodPatch {
		header.Set("Content-Type", mergePatch)
	}
	if op != history.OpCreate && s.born.until == 0 {
		s.born.until = a.log.Now()
	}
	s.born.removed = s.born.removed || op == history.OpDelete
	record(history.Invoke, change)
	var got answer
	var asked int
	for _, member := range order {
		asked = member
		if got = a.client.call(ctx, a.group.net.host(member), method, path, header, body); !got.unsent {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	end := endOf(got)
	if end == history.OK && op == history.OpCreate {
		var made struct{ ID, Secret string }
		_ = json.Unmarshal(got.body, &made) // an empty id is judged
		change.ID, change.Secret, s.id = made.ID, made.Secret, made.ID
		s.born = born{at: a.log.Now(), member: asked, topics: s.Topics}
		a.made = append(a.made, made.ID)
		a.known = append(a.known, s)
	}
	if end == history.OK && a.nemesis.unsure() {
		s.waits = true
		a.deferred = append(a.deferred, func() { record(end, change); s.waits = false })
		return true
	}
	record(end, change)
	return end == history.OK
}

// endOf says what an answer promises.
func endOf(got answer) history.Type {
	switch {
	case got.status == http.StatusOK, got.status == http.StatusCreated, got.status == http.StatusNoContent:
		return history.OK
	case got.unsent, got.status >= 400 && got.status < 500:
		return history.Fail
	}
	return history.Info
}

// settled lets the changes count that were answered while members did not hear each other: all
// of them know by now.
func (a *admin) settled() {
	for _, end := range a.deferred {
		end()
	}
	a.deferred = nil
}

// enable lets everything go on that is disabled, so that nothing stays pending; nothing is
// posted any more. What has an unknown end stays unknown to the judge.
func (a *admin) enable(ctx context.Context) {
	for _, s := range a.changing {
		next := s.Settings
		next.Enabled = true
		a.update(ctx, s, next)
	}
	header := http.Header{"Content-Type": {mergePatch}}
	for _, s := range a.known {
		if !slices.Contains(a.changing, s) && !slices.Contains(a.standing, s) {
			a.client.call(ctx, a.group.net.host(0), http.MethodPatch, subscriptionsPath+"/"+s.id, header, []byte(`{"enabled":true}`))
		}
	}
}

// clear deletes every subscription of the round.
func (a *admin) clear(ctx context.Context) {
	for _, id := range a.made {
		a.client.call(ctx, a.group.net.host(0), http.MethodDelete, subscriptionsPath+"/"+id, nil, nil)
	}
}
