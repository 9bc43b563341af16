package engine

import (
	"time"
)

// Outcome is the class of an attempt's end. The status decides it, the body never does.
type Outcome string

// The outcomes of an attempt.
const (
	OutcomeSuccess     Outcome = "success"
	OutcomeFailure     Outcome = "failure"     // status, timeout, refused connection, TLS, DNS
	OutcomeGone        Outcome = "gone"        // 410
	OutcomeThrottled   Outcome = "throttled"   // 429 or 503
	OutcomeBlocked     Outcome = "blocked"     // the dialled address was refused; nothing was sent
	OutcomeInterrupted Outcome = "interrupted" // cut off by a shutdown; uses nothing up
)

// Result is what one HTTP request ended with.
type Result struct {
	Outcome Outcome
	Status  int // 0: no response
	// Error is one of a few constant phrases ("timeout", "connection refused"), never an
	// internal text: it is shown to tenants.
	Error string
	// Excerpt is up to MaxResponseBody bytes of the response, valid UTF-8.
	Excerpt string
	// RetryAfter is the delay a 429 or 503 asked for; negative: none was asked.
	RetryAfter time.Duration
	TraceID    string
}

// Attempt is one line of the attempt log.
type Attempt struct {
	Subscription SubscriptionID `json:"-"`
	Key          DeliveryKey    `json:"-"`
	Number       int            `json:"number"`
	StartedAt    time.Time      `json:"started_at"`
	Duration     time.Duration  `json:"duration"`
	Outcome      Outcome        `json:"outcome"`
	Status       int            `json:"status"`
	Error        string         `json:"error"`
	Excerpt      string         `json:"response_excerpt"`
	TraceID      string         `json:"trace_id"`
}

// SendRequest is all that one attempt needs.
type SendRequest struct {
	Event        *Event
	Subscription *Subscription // the version in force at the attempt
	Number       int           // webhook-attempt
	Lane         string
}

// AppendBody appends what the receiver gets: the same bytes on every attempt. Data is copied
// byte for byte.
func (e *Event) AppendBody(body []byte) []byte {
	body = append(body, `{"id":"`...)
	body = append(body, e.ID...)
	body = append(body, `","topic":"`...)
	body = append(body, e.Topic...)
	body = append(body, `","timestamp":"`...)
	body = e.Timestamp.UTC().AppendFormat(body, TimeFormat)
	body = append(body, `","data":`...)
	body = append(body, e.Data...)
	if len(e.Extensions) > 0 {
		body = append(body, `,"extensions":`...)
		body = append(body, e.Extensions...)
	}
	return append(body, '}')
}

// TimeFormat is RFC 3339 in UTC with milliseconds: every time the API shows.
const TimeFormat = "2006-01-02T15:04:05.000Z"
