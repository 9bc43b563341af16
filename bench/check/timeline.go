package check

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pannier/bench/history"
)

// subscription is what is known of one, over time.
type subscription struct {
	name     string
	id       string // the server's, "" while unknown
	versions []version
	secrets  []secret
	replays  []time.Duration // when each was asked for
}

// version is the state after one operation. It may be in force from the operation's
// invoke on, and is so for certain from its ok until the next operation's invoke.
type version struct {
	history.Settings
	deleted bool
	from    time.Duration // invoke
	ok      time.Duration // never when nobody knows whether it took effect
}

// secret is valid from the invoke of the operation that set it until the one that
// replaced it ended.
type secret struct {
	value string // "" while nobody knows it
	from  time.Duration
	ok    time.Duration // from then on no other secret was made by the same operation
	until time.Duration
}

// live tells whether the version receives events.
func (v *version) live() bool { return v.Enabled && !v.deleted }

func (v *version) wants(e *event) bool {
	if !v.live() || (e.Tenant != "" && e.Tenant != v.Tenant) {
		return false
	}
	return slices.ContainsFunc(v.Topics, func(pattern string) bool { return Matches(pattern, e.Topic) })
}

// possible lists the versions that may have been in force at some point between from and
// to; absent tells that the subscription may not have existed.
func (s *subscription) possible(from, to time.Duration) (versions []*version, absent bool) {
	absent = len(s.versions) == 0 || s.versions[0].ok >= from
	superseded := never // by a later version that was certainly in force before
	for i := len(s.versions) - 1; i >= 0; i-- {
		v := &s.versions[i]
		if v.from <= to && (superseded >= from || v.ok == never) {
			versions = append(versions, v)
		}
		superseded = min(superseded, v.ok)
	}
	return versions, absent
}

// mayBeDeleted tells whether anybody asked for its deletion.
func (s *subscription) mayBeDeleted() bool {
	return slices.ContainsFunc(s.versions, func(v version) bool { return v.deleted })
}

// scope says whether an event was for a subscription.
type scope int

const (
	may scope = iota
	must
	mustNot
)

// scope judges an event whose accept lies between from and to.
func (s *subscription) scope(e *event, from, to time.Duration) scope {
	versions, absent := s.possible(from, to)
	wanted := 0
	for _, v := range versions {
		if v.wants(e) {
			wanted++
		}
	}
	switch {
	case wanted == 0:
		return mustNot
	case wanted == len(versions) && !absent:
		return must
	}
	return may
}

// scopeOf judges an event by what is known of its accept: it came before the answer, or
// before the first that was seen of it.
func (s *subscription) scopeOf(e *event) scope { return s.scope(e, e.invoke, min(e.ok, e.seen)) }

// takeChange follows an operation on a subscription.
func (m *model) takeChange(r *history.Record, open map[string]any) error {
	if r.Change == nil {
		return fmt.Errorf("operation %s %s without its change", r.Op, r.ID)
	}
	s := m.subs[r.Change.Name]
	if s == nil {
		s = &subscription{name: r.Change.Name}
		m.subs[s.name] = s
	}
	if r.Type == history.Invoke {
		open[r.ID] = s
		return s.begin(r)
	}
	if open[r.ID] != any(s) {
		return fmt.Errorf("the end of operation %s that was not begun", r.ID)
	}
	delete(open, r.ID)
	return s.end(r)
}

func (s *subscription) begin(r *history.Record) error {
	if r.Op == history.OpReplay {
		s.replays = append(s.replays, r.At)
		return nil
	}
	if (len(s.versions) == 0) != (r.Op == history.OpCreate) {
		return fmt.Errorf("%s of %s out of turn", r.Op, s.name)
	}
	next := version{Settings: r.Change.Settings, from: r.At, ok: never}
	if r.Op == history.OpDelete || r.Op == history.OpRotate {
		next.Settings = s.versions[len(s.versions)-1].Settings
		next.deleted = r.Op == history.OpDelete
	}
	s.versions = append(s.versions, next)
	if r.Op == history.OpCreate || r.Op == history.OpRotate {
		s.secrets = append(s.secrets, secret{value: r.Change.Secret, from: r.At, ok: never, until: never})
	}
	return nil
}

func (s *subscription) end(r *history.Record) error {
	if r.Op == history.OpReplay || r.Type == history.Info {
		return nil
	}
	if len(s.versions) == 0 {
		return errors.New("the end of a change that was not begun")
	}
	last := &s.versions[len(s.versions)-1]
	newSecret := len(s.secrets) > 0 && s.secrets[len(s.secrets)-1].from == last.from
	if r.Type == history.Fail {
		s.versions = s.versions[:len(s.versions)-1]
		if newSecret {
			s.secrets = s.secrets[:len(s.secrets)-1]
		}
		return nil
	}
	last.ok = r.At
	if r.Op == history.OpCreate {
		s.id = r.Change.ID
	}
	if newSecret {
		newest := &s.secrets[len(s.secrets)-1]
		newest.value, newest.ok = r.Change.Secret, r.At
		for i := range s.secrets[:len(s.secrets)-1] {
			s.secrets[i].until = min(s.secrets[i].until, r.At+r.Change.Grace)
		}
	}
	return nil
}
