package engine

// The changes of the state. One Write call applies a group of them atomically.
type (
	PutVersion      struct{ *Subscription }
	DropVersion     struct{ Version *Subscription }
	PutAPIKey       struct{ APIKey }
	DropAPIKey      struct{ ID string }
	PutRetryRecord  struct{ RetryRecord }
	DropRetryRecord struct {
		Subscription SubscriptionID
		Key          DeliveryKey
	}
	PutDeadLetter  struct{ DeadLetter }
	DropDeadLetter struct {
		Subscription SubscriptionID
		Key          DeliveryKey
	}
	PutDoneMark  struct{ DoneMark }
	DropDoneMark struct{ DoneMark }
	PutQueue     struct{ Queue }
	DropQueue    struct{ Subscription SubscriptionID }
	PutCursor    struct{ Cursor }
	DropCursor   struct {
		Subscription SubscriptionID
		Journal      JournalID
	}
	PutWatermark  struct{ Watermark }
	DropWatermark struct{ Journal JournalID }
	PutIdentity   struct{ Identity }
	PutAnswer     struct{ Answer }
	PutLane       struct{ LaneRecord }
	DropLane      struct{ Name string }
	PutExpired    struct{ Expired }
	DropExpired   struct{ Expired }
	PutReplay     struct{ Replay }
	DropReplay    struct{ ID string }
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
