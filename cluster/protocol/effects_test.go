package protocol

import "pannier/cluster/placement"

// effectsOf takes a member's effects and gives those of one kind.
func effectsOf[E Effect](m *Member) []E { return pick[E](m.Effects()) }

// pick gives the effects of one kind.
func pick[E Effect](effects []Effect) (picked []E) {
	for _, e := range effects {
		if e, is := e.(E); is {
			picked = append(picked, e)
		}
	}
	return picked
}

// sentTo gives the messages of one kind that go to a member.
func sentTo[M Message](effects []Effect, to placement.MemberID) (messages []M) {
	for _, send := range pick[Send](effects) {
		for _, m := range send.Envelope.Messages {
			if m, is := m.(M); is && send.Envelope.To == to {
				messages = append(messages, m)
			}
		}
	}
	return messages
}
