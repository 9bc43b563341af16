package engine

import "context"

// Event finds one retained event. Errors: not_found.
func (e *Engine) Event(ctx context.Context, caller Caller, id string) (*Event, error) {
	event, err := e.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if event == nil || !callerSeesEvent(caller, event) {
		return nil, notFound(ctx, "event")
	}
	return event, nil
}

// callerSeesEvent: an event without a tenant reaches every tenant.
func callerSeesEvent(caller Caller, event *Event) bool {
	return event.Tenant == "" || caller.Sees(event.Tenant)
}

// lookup finds a retained event by id, nil when there is none.
func (e *Engine) lookup(ctx context.Context, id string) (*Event, error) {
	ref, ours := ParseEventID(id)
	if ours {
		if event := e.at(ctx, ref); event != nil && event.ID == id {
			return event, nil
		}
	}
	identities, err := e.findIdentities(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if identity, found := identities[id]; found {
		return e.at(ctx, identity.Event), nil
	}
	return nil, nil
}

// at reads the event at a place of a journal, nil when there is none that was answered.
func (e *Engine) at(ctx context.Context, ref EventRef) *Event {
	return e.in(e.lanes.Journals(ctx), ref)
}

// in is at, in journals that were listed before.
func (e *Engine) in(journals []LaneJournal, ref EventRef) *Event {
	for _, lane := range journals {
		if lane.Journal.ID() != ref.Journal || ref.Sequence > lane.Frontier {
			continue
		}
		record, err := lane.Journal.Get(ref.Sequence)
		if err != nil || record.Event == nil || e.dropped.Has(record.Event) {
			return nil
		}
		return record.Event
	}
	return nil
}

// Events lists retained events, newest last. Errors: invalid.
func (e *Engine) Events(ctx context.Context, caller Caller, filter EventFilter, page Page) (Listed[*Event], error) {
	after, err := parseCursor("events", page.Cursor)
	if err != nil {
		return Listed[*Event]{}, err
	}
	listed := Listed[*Event]{Items: []*Event{}}
	err = e.walk(ctx, filter.Window, after, func(event *Event) bool {
		if (filter.Topic != "" && event.Topic != filter.Topic) || !callerSeesEvent(caller, event) {
			return true
		}
		if len(listed.Items) == page.Limit {
			last := listed.Items[page.Limit-1]
			listed.Next = position{milli: last.AcceptedAt.UnixMilli(), id: last.ID}.cursor("events")
			return false
		}
		listed.Items = append(listed.Items, event)
		return true
	})
	return listed, err
}
