package engine

import "time"

// Last hop of the straight path: before it engine/egress/send.go made one attempt; after it
// nothing is left to do for the delivery, or its retry record waits.

// Decision is what follows from the end of an attempt.
//
//	success ─────────────────────────────► Delivered
//	failure, retries left ───────────────► Later, after Delay
//	failure, schedule used up ───────────► Dead (exhausted, or blocked)
//	gone, and the subscription wants it ─► Dead (gone), Disable
//	interrupted ─────────────────────────► Unchanged: nothing is used up
type Decision struct {
	Kind    DecisionKind
	Delay   time.Duration // of Later
	Reason  Reason        // of Dead
	Disable bool          // the subscription is to be disabled
}

// DecisionKind is the kind of a Decision.
type DecisionKind int

// The kinds of decisions.
const (
	Unchanged DecisionKind = iota
	Delivered
	Later
	Dead
)

// Settle decides what follows from an attempt's result. used counts the attempts of the
// present schedule before this one; once marks a manual retry; random in [0, 1) is the
// jitter. Pure.
func Settle(s *Subscription, used int, once bool, result Result, random float64) Decision {
	switch {
	case result.Outcome == OutcomeInterrupted:
		return Decision{Kind: Unchanged}
	case result.Outcome == OutcomeSuccess:
		return Decision{Kind: Delivered}
	case result.Outcome == OutcomeGone && s.DisableOnGone:
		return Decision{Kind: Dead, Reason: ReasonGone, Disable: true}
	case once || used >= s.Retry.MaxRetries:
		if result.Outcome == OutcomeBlocked {
			return Decision{Kind: Dead, Reason: ReasonBlocked}
		}
		return Decision{Kind: Dead, Reason: ReasonExhausted}
	}
	delay := s.Retry.Delay(used+1, random)
	if result.Outcome == OutcomeThrottled && result.RetryAfter >= 0 {
		// It changes the delay, never the number of retries.
		delay = s.Retry.Clamp(result.RetryAfter)
	}
	return Decision{Kind: Later, Delay: delay}
}
