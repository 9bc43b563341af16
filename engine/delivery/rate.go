package delivery

import "time"

// rateLimit is a token bucket of one second's worth, at least one token. The zero value
// does not limit.
type rateLimit struct {
	perSecond float64
	tokens    float64
	at        time.Time
}

// set changes the rate; the bucket starts with one token so that a change is no burst.
func (r *rateLimit) set(perSecond float64, now time.Time) {
	if r.perSecond == perSecond {
		return
	}
	*r = rateLimit{perSecond: perSecond, tokens: 1, at: now}
}

// allow tells whether an attempt may start at now.
func (r *rateLimit) allow(now time.Time) bool {
	if r.perSecond == 0 {
		return true
	}
	r.refill(now)
	return r.tokens >= 1
}

// take uses one token up.
func (r *rateLimit) take() {
	if r.perSecond != 0 {
		r.tokens--
	}
}

// next is when the next token is there.
func (r *rateLimit) next(now time.Time) time.Time {
	r.refill(now)
	missing := 1 - r.tokens
	if r.perSecond == 0 || missing <= 0 {
		return now
	}
	return now.Add(time.Duration(missing / r.perSecond * float64(time.Second)))
}

func (r *rateLimit) refill(now time.Time) {
	if elapsed := now.Sub(r.at).Seconds(); elapsed > 0 {
		r.tokens = min(max(1, r.perSecond), r.tokens+elapsed*r.perSecond)
	}
	r.at = now
}
