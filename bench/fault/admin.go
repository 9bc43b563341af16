package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"time"

	"pannier/bench/history"
)

const (
	// maxChanging bounds the subscriptions that are changed and deleted at any time.
	maxChanging = 6
	// maxCreated bounds those made over the whole run.
	maxCreated = 600
	maxDelay   = 2 * time.Second
	adminPath  = "/v1/subscriptions"
)

// asked is a subscription as the harness wants it.
type asked struct {
	history.Settings
	name     string
	site     string
	inFlight int
}

// changing is a subscription that exists.
type changing struct {
	asked
	id string
}

// admin makes, changes, disables, enables and deletes subscriptions, one operation after
// the other.
type admin struct {
	*workload
	random  *rand.Rand
	live    []*changing
	created int
}

// work changes something every now and then until ctx ends.
func (a *admin) work(ctx context.Context) {
	for pause(ctx, time.Duration(50+a.random.IntN(250))*time.Millisecond) {
		if _, err := a.client.member.address(ctx); err != nil {
			return
		}
		if a.random.IntN(100) < 15 {
			a.shortLived(ctx)
			continue
		}
		if len(a.live) < 2 || (len(a.live) < maxChanging && a.random.IntN(4) == 0) {
			a.another(ctx)
			continue
		}
		a.touch(ctx, a.random.IntN(len(a.live)))
	}
}

var patterns = [][]string{
	{"*"}, {"trip.*"}, {topicCreated, topicPosition}, {"vehicule.*", "vehicle.*"}, {topicCyclist}, {topicTerminated, "burst.*"},
}

func (a *admin) pattern() []string { return patterns[a.random.IntN(len(patterns))] }

// another makes one more subscription. One whose creation had no answer stays unknown: it
// may receive events all the same.
func (a *admin) another(ctx context.Context) {
	if a.created == maxCreated {
		return
	}
	a.created++
	places := []string{siteGood, siteFlaky, siteSlow, siteFlaky, sitePoison}
	want := asked{
		name: "c" + strconv.Itoa(a.created), site: places[a.random.IntN(len(places))],
		inFlight: 4 + a.random.IntN(28),
		Settings: history.Settings{
			Topics: a.pattern(), Tenant: tenants[2+a.random.IntN(2)], Enabled: a.random.IntN(5) > 0, MaxRetries: 20,
			MinDelay: time.Second, Timeout: usualTimeout,
		},
	}
	if want.site == siteSlow {
		want.inFlight = 48 // or its backlog would grow without end
	}
	if want.site == sitePoison {
		want.MaxRetries = 1 + a.random.IntN(2)
	}
	if id, err := a.create(ctx, want); err == nil {
		a.live = append(a.live, &changing{asked: want, id: id})
	}
}

// shortLived makes a subscription that at once has more to do than it can, and deletes it
// in the middle of that.
func (a *admin) shortLived(ctx context.Context) {
	if a.created == maxCreated {
		return
	}
	a.created++
	want := asked{
		name: "d" + strconv.Itoa(a.created), site: siteSlow, inFlight: 2,
		Settings: history.Settings{
			Topics: []string{"*"}, Tenant: "default", Enabled: true, MaxRetries: 20, MinDelay: time.Second, Timeout: usualTimeout,
		},
	}
	id, err := a.create(ctx, want)
	if err != nil {
		if id = a.find(ctx, want.name); id == "" {
			return
		}
	}
	c := &changing{asked: want, id: id}
	if !pause(ctx, time.Duration(300+a.random.IntN(400))*time.Millisecond) || !a.remove(ctx, c) {
		a.live = append(a.live, c)
	}
}

// find looks for a subscription whose creation had no answer; "" when it is not there.
func (a *admin) find(ctx context.Context, name string) (id string) {
	type row struct{ ID, URL string }
	for range maxTries {
		err := list(ctx, a.client, adminPath, func(s row) {
			if path.Base(s.URL) == name {
				id = s.ID
			}
		})
		if err == nil || !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	return id
}

// touch does something to the n-th subscription.
func (a *admin) touch(ctx context.Context, n int) {
	c := a.live[n]
	next := c.asked
	switch chance := a.random.IntN(100); {
	case chance < 12:
		if a.remove(ctx, c) {
			a.live = append(a.live[:n], a.live[n+1:]...)
		}
		return
	case chance < 25:
		a.rotate(ctx, c, time.Duration(a.random.IntN(2))*time.Hour)
		return
	case chance < 35 && c.site == sitePoison:
		a.replay(ctx, c)
		return
	case chance < 65:
		next.Topics = a.pattern()
	default:
		next.Enabled = !next.Enabled
	}
	if a.update(ctx, c, next) {
		c.asked = next
	}
}

// enableAll enables everything, when nothing is killed any more. What it cannot enable
// stays pending and is judged.
func (a *admin) enableAll(ctx context.Context) {
	for _, c := range a.live {
		c.Enabled = true
		a.update(ctx, c, c.asked)
	}
}

// operation calls until the end is known and writes both ends down. Only repeat lets it
// be made again after an unknown end.
func (a *admin) operation(ctx context.Context, op history.Op, change history.Change, repeat bool, call func() (answer, error), fill func([]byte, *history.Change)) bool {
	id := a.opID("admin")
	record := func(kind history.Type, c history.Change) {
		a.log.Add(history.Record{At: a.log.Now(), Role: "admin", Proc: "admin", Type: kind, Op: op, ID: id, Change: &c})
	}
	record(history.Invoke, change)
	for try := range maxTries {
		got, err := call()
		if err != nil {
			break
		}
		end := got.end()
		if op == history.OpDelete && try > 0 && got.status == http.StatusNotFound {
			end = history.OK // an earlier try had done it
		}
		if end != history.Info {
			if end == history.OK {
				fill(got.body, &change)
			}
			record(end, change)
			return end == history.OK
		}
		if !repeat || !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	record(history.Info, change)
	return false
}

// document is the body that asks for a subscription.
func (a *asked) document(url string) []byte {
	fields := map[string]any{
		"url": url, "topics": a.Topics, "enabled": a.Enabled, "timeout": a.Timeout.String(),
		"retry":  map[string]any{"max_retries": a.MaxRetries, "min_delay": a.MinDelay.String(), "max_delay": maxDelay.String()},
		"limits": map[string]any{"max_in_flight": a.inFlight},
	}
	if url == "" {
		delete(fields, "url")
	} else {
		fields["tenant"] = a.Tenant
	}
	text, _ := json.Marshal(fields) // of strings and numbers: it cannot fail
	return text
}

// create makes a subscription and gives its id.
func (a *admin) create(ctx context.Context, want asked) (id string, err error) {
	body := want.document(a.sites.endpoint(want.site, want.name))
	change := history.Change{Name: want.name, Settings: want.Settings}
	done := a.operation(ctx, history.OpCreate, change, false, func() (answer, error) {
		return a.client.call(ctx, http.MethodPost, adminPath, plainJSON, nil, body)
	}, func(text []byte, c *history.Change) {
		var made struct{ ID, Secret string }
		if json.Unmarshal(text, &made) == nil {
			c.ID, c.Secret, id = made.ID, made.Secret, made.ID
		}
	})
	if !done || id == "" {
		return "", errors.New("the creation was not confirmed")
	}
	return id, nil
}

func (a *admin) update(ctx context.Context, c *changing, next asked) bool {
	body := next.document("")
	return a.operation(ctx, history.OpUpdate, history.Change{Name: c.name, Settings: next.Settings}, true, func() (answer, error) {
		return a.client.call(ctx, http.MethodPatch, adminPath+"/"+c.id, mergePatch, nil, body)
	}, func([]byte, *history.Change) {})
}

func (a *admin) remove(ctx context.Context, c *changing) bool {
	return a.operation(ctx, history.OpDelete, history.Change{Name: c.name}, true, func() (answer, error) {
		return a.client.call(ctx, http.MethodDelete, adminPath+"/"+c.id, "", nil, nil)
	}, func([]byte, *history.Change) {})
}

func (a *admin) rotate(ctx context.Context, c *changing, grace time.Duration) {
	body := fmt.Appendf(nil, `{"grace":%q}`, grace)
	a.operation(ctx, history.OpRotate, history.Change{Name: c.name, Grace: grace}, true, func() (answer, error) {
		return a.client.call(ctx, http.MethodPost, adminPath+"/"+c.id+"/secret/rotate", plainJSON, nil, body)
	}, func(text []byte, change *history.Change) {
		var made struct{ Secret string }
		if json.Unmarshal(text, &made) == nil {
			change.Secret = made.Secret
		}
	})
}

func (a *admin) replay(ctx context.Context, c *changing) {
	a.operation(ctx, history.OpReplay, history.Change{Name: c.name}, false, func() (answer, error) {
		return a.client.call(ctx, http.MethodPost, adminPath+"/"+c.id+"/replay", plainJSON, nil, []byte(`{"state":"dead"}`))
	}, func([]byte, *history.Change) {})
}
