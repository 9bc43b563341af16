package check

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pannier/bench/history"
)

// signed is A9: every attempt carries the event's id, a timestamp of its own and a
// signature by a secret that may have been in force.
func signed(m *model, r *Report) {
	keys := make(map[string]*standardwebhooks.Webhook)
	for _, p := range m.pairs {
		for _, a := range p.attempts {
			if problem := judgeSignature(p, a, keys); problem != "" {
				r.add(Violation{
					Rule: Signed, Subscription: p.key.name, Event: p.key.ref,
					Detail: fmt.Sprintf("attempt %d at %v: %s", a.Number, a.Started, problem),
				})
			}
		}
	}
}

// sent is the earliest moment at which the server may have begun an attempt: its timestamp
// says so in whole seconds, and it is not believed when it is stale.
func sent(a *history.Attempt) time.Duration {
	seconds, err := strconv.ParseInt(a.Timestamp, 10, 64)
	if err != nil {
		return a.Started
	}
	return a.Started - min(FreshFor, max(0, a.Wall.Sub(time.Unix(seconds, 0))))
}

func judgeSignature(p *pair, a *history.Attempt, keys map[string]*standardwebhooks.Webhook) string {
	if a.Answer == history.Cut || p.sub == nil {
		return ""
	}
	seconds, err := strconv.ParseInt(a.Timestamp, 10, 64)
	if err != nil {
		return "the timestamp is not a number"
	}
	if age := a.Wall.Sub(time.Unix(seconds, 0)); age < -time.Second || age > FreshFor {
		return fmt.Sprintf("the timestamp is %v old", age)
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, a.WebhookID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, a.Timestamp)
	header.Set(standardwebhooks.HeaderWebhookSignature, a.Signature)
	tried, unknown := 0, false
	for _, s := range p.sub.secrets {
		if s.from > a.Started || s.until < sent(a) {
			continue
		}
		unknown = unknown || s.ok == never || sent(a) <= s.ok // an answer that was lost had another
		if s.value == "" {
			continue
		}
		tried++
		key := keys[s.value]
		if key == nil {
			if key, err = standardwebhooks.NewWebhook(s.value); err != nil {
				return "the secret cannot be read"
			}
			keys[s.value] = key
		}
		if key.VerifyIgnoringTimestamp([]byte(a.Body), header) == nil {
			return ""
		}
	}
	if unknown {
		return ""
	}
	return fmt.Sprintf("signed with none of the %d secrets in force", tried)
}
