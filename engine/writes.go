package engine

// The changes of the state. One Write call applies a group of them atomically.
type (
	// PutVersion keeps a version of a subscription; DropVersion forgets one.
	PutVersion struct{ *Subscription }
	// DropVersion ends PutVersion.
	DropVersion struct{ Version *Subscription }
	// PutAPIKey keeps a key, as a hash.
	PutAPIKey struct{ APIKey }
	// DropAPIKey revokes a key.
	DropAPIKey struct{ ID string }
	// PutRetryRecord makes or replaces the retry record of a delivery.
	PutRetryRecord struct{ RetryRecord }
	// DropRetryRecord removes the retry record of a settled delivery.
	DropRetryRecord struct {
		Subscription SubscriptionID
		Key          DeliveryKey
	}
	// PutDeadLetter keeps a delivery that ended without success.
	PutDeadLetter struct{ DeadLetter }
	// DropDeadLetter removes a dead letter that is delivered once more.
	DropDeadLetter struct {
		Subscription SubscriptionID
		Key          DeliveryKey
	}
	// PutDoneMark remembers that a delivery above the watermark was settled.
	PutDoneMark struct{ DoneMark }
	// DropDoneMark forgets a mark that the watermark has passed.
	DropDoneMark struct{ DoneMark }
	// PutQueue writes the durable timer and the circuit of a subscription.
	PutQueue struct{ Queue }
	// DropQueue removes them: nothing is pending there and the circuit is closed.
	DropQueue struct{ Subscription SubscriptionID }
	// PutCursor writes what lies behind a subscription's cursor in a lane.
	PutCursor struct{ Cursor }
	// DropCursor tells that the subscription has caught up there.
	DropCursor struct {
		Subscription SubscriptionID
		Journal      JournalID
	}
	// PutWatermark writes how far a journal is discharged.
	PutWatermark struct{ Watermark }
	// DropWatermark forgets a journal that was removed.
	DropWatermark struct{ Journal JournalID }
	// PutIdentity indexes an event by the id its client gave.
	PutIdentity struct{ Identity }
	// PutAnswer remembers what a request with an Idempotency-Key was answered.
	PutAnswer struct{ Answer }
	// PutLane ties a lane's name to its journal.
	PutLane struct{ LaneRecord }
	// DropLane forgets a lane that was drained.
	DropLane struct{ Name string }
	// PutExpired keeps the dead letters of deliveries that left the retention unattempted.
	PutExpired struct{ Expired }
	// DropExpired removes them.
	DropExpired struct {
		Subscription SubscriptionID
		Key          DeliveryKey
	}
	// PutReplay makes a replay durable, with how far it came.
	PutReplay struct{ Replay }
	// DropReplay ends a replay.
	DropReplay struct {
		ID           string
		Subscription SubscriptionID
	}
	// PutDropped remembers a batch that recovery dropped because it was incomplete.
	PutDropped struct{ Batch uint64 }
)

func (PutVersion) write()      {}
func (DropVersion) write()     {}
func (PutAPIKey) write()       {}
func (DropAPIKey) write()      {}
func (PutRetryRecord) write()  {}
func (DropRetryRecord) write() {}
func (PutDeadLetter) write()   {}
func (DropDeadLetter) write()  {}
func (PutDoneMark) write()     {}
func (DropDoneMark) write()    {}
func (PutQueue) write()        {}
func (DropQueue) write()       {}
func (PutCursor) write()       {}
func (DropCursor) write()      {}
func (PutWatermark) write()    {}
func (DropWatermark) write()   {}
func (PutIdentity) write()     {}
func (PutAnswer) write()       {}
func (PutLane) write()         {}
func (DropLane) write()        {}
func (PutExpired) write()      {}
func (DropExpired) write()     {}
func (PutReplay) write()       {}
func (DropReplay) write()      {}
func (PutDropped) write()      {}
