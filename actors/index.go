package actors

import "pannier/engine"

// index writes the given ids and the Idempotency-Key of a durable part behind: the journal
// holds them already. Until the state knows them they are remembered in memory.
func (i *ingress) index(part *engine.Part) {
	writes := make([]engine.Write, 0, len(part.Digests)+1)
	for n, digest := range part.Digests {
		event := part.Events[n]
		writes = append(writes, engine.PutIdentity{Identity: engine.Identity{
			ID: event.ID, Event: event.Ref, Digest: digest, AcceptedAt: event.AcceptedAt,
		}})
	}
	if part.Request != nil {
		part.Answer.Complete(part.Request, part.Events)
		writes = append(writes, engine.PutAnswer{Answer: part.Answer})
	}
	i.system.keepIndex(writes)
}

func (s *System) keepIndex(writes []engine.Write) {
	if len(writes) == 0 {
		return
	}
	s.recent.Remember(writes)
	s.write(writes, func() { s.recent.Forget(writes) })
}
