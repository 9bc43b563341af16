package engine

import (
	"context"
	"time"
)

// Journal is the durable order of a lane's accepted events (storage.Journal, memory twin
// storage.MemoryJournal; conformance: storage/storagetest). All methods may be called
// concurrently.
type Journal interface {
	ID() JournalID
	// Append gives the records the next sequences (it sets Event.Ref, and Event.ID where
	// none was given) and returns the first; done is called exactly once, in order of
	// sequence, after they are synced. Many appends share one sync. done must not block.
	// Errors: storage_full, unavailable (closed). A failed write or sync ends the process.
	Append(records []Record, done func()) (first uint64, err error)
	// Read calls visit for the records from sequence `from` on, in order, until visit
	// returns false, limit records were visited or the synced end is reached. Only synced
	// records are visited. next is the sequence to go on from. The CRC and sequence of each
	// record are checked: damaged ones are skipped and reported (see Damage). What left the
	// retention is skipped.
	Read(from uint64, limit int, visit func(sequence uint64, record Record) bool) (next uint64, err error)
	// Search is Read over the events that wanted picks by what they are matched with: the head
	// has neither ID nor texts nor trace, and is the caller's only until wanted returns. The
	// limit counts every record that is looked at. Passing over an event costs a fraction of
	// reading it.
	Search(from uint64, limit int, wanted func(head *Event) bool, visit func(event *Event) bool) (next uint64, err error)
	// Get reads one record. Errors: not_found (never written, damaged or past the retention).
	Get(sequence uint64) (Record, error)
	// Seek is the first retained sequence accepted at or after t (the next sequence to be
	// written when there is none).
	Seek(t time.Time) (uint64, error)
	// Bounds are the first retained sequence and the next one to be written.
	Bounds() (first, next uint64)
	// Synced is the last synced sequence.
	Synced() uint64
	// Segments lists the sealed segments, oldest first, with what retention must know.
	Segments() []Segment
	// Trim removes the oldest segment if it is s.
	Trim(s Segment) error
	// Damage lists the sequences whose records could not be read, found at open or since.
	Damage() []Range
	Close() error
}

// Segment describes one sealed file of a journal.
type Segment struct {
	First, Last   uint64
	FirstAt       time.Time // accept times
	LastAt        time.Time
	FirstRevision uint64
	Bytes         int64
}

// Write is one change of the state. The kinds are the types of writes.go.
type Write interface{ write() }

// State is everything durable that is not a journal (storage.State on Badger, memory twin
// storage.MemoryState). All methods may be called concurrently; reads see every write
// whose done was called.
type State interface {
	// Write queues one atomic group of changes; done is called after it is synced, in the
	// order of the calls. It blocks only while the bounded queue is full. done must not
	// block. A failed commit ends the process. Errors: unavailable (closed).
	Write(changes []Write, done func()) error
	// Load reads what a member holds in memory, once, at start.
	Load(ctx context.Context) (*Snapshot, error)
	// RetryRecords lists up to limit records of a subscription with a key above after, in
	// order of key.
	RetryRecords(ctx context.Context, sub SubscriptionID, after DeliveryKey, limit int) ([]RetryRecord, error)
	RetryRecord(ctx context.Context, sub SubscriptionID, key DeliveryKey) (RetryRecord, bool, error)
	// DeadLetters lists like RetryRecords, those that expired among them.
	DeadLetters(ctx context.Context, sub SubscriptionID, after DeliveryKey, limit int) ([]DeadLetter, error)
	DeadLetter(ctx context.Context, sub SubscriptionID, key DeliveryKey) (DeadLetter, bool, error)
	// DeadLetterOf finds one whose accept time is not known, by going through the keys.
	DeadLetterOf(ctx context.Context, sub SubscriptionID, event EventRef) (DeadLetter, bool, error)
	// Expired lists like RetryRecords what PutExpired wrote.
	Expired(ctx context.Context, sub SubscriptionID, after DeliveryKey, limit int) ([]Expired, error)
	// Identities finds the events that given ids were used for.
	Identities(ctx context.Context, ids []string) (map[string]Identity, error)
	// Answer finds what a request with an Idempotency-Key was answered.
	Answer(ctx context.Context, key string) (Answer, bool, error)
	// Sweep removes identities, answers and dead letters that ended before now's windows, a
	// bounded number a call; more tells whether to call again.
	Sweep(ctx context.Context, now time.Time) (more bool, err error)
	Close() error
}

// Snapshot is the part of the state that a member holds in memory.
type Snapshot struct {
	Versions   []*Subscription // every version still kept, in order of revision
	APIKeys    []APIKey
	Lanes      []LaneRecord
	Watermarks []Watermark
	Cursors    []Cursor
	Queues     []Queue
	DoneMarks  []DoneMark
	Replays    []Replay
	Dropped    []uint64 // ids of batches that recovery dropped
	DeadCount  map[SubscriptionID]int
}

// Identity is the durable memory of a client-given event id.
type Identity struct {
	ID         string
	Event      EventRef
	Digest     [32]byte // of topic, tenant and data
	AcceptedAt time.Time
}

// Answer is the durable memory of an Idempotency-Key.
type Answer struct {
	Key        string
	Digest     [32]byte // of the whole request
	IDs        []string
	Single     bool
	AcceptedAt time.Time
}

// LaneRecord ties a lane's name to its journal for ever.
type LaneRecord struct {
	Name     string
	Journal  JournalID
	Topic    string // the topic of a promoted lane; "" for a configured one
	Promoted bool
}

// Cluster is the port to the other members (cluster.Node); a member that runs alone has none.
// No method blocks. All may be called concurrently.
type Cluster interface {
	// Owns tells whether this member makes the attempts of a subscription.
	Owns(id SubscriptionID) bool
	// HandOut gives an event of a journal that this member keeps to the owner of a
	// subscription; Settled or Returned of the actors answers.
	HandOut(event *Event, id SubscriptionID)
	// Discharged tells the keeper of another member's journal that pairs are discharged (I2).
	Discharged(journal JournalID, id SubscriptionID, sequences []uint64)
	// GiveBack returns such pairs unattempted; busy tells that the endpoint cannot keep up.
	GiveBack(journal JournalID, id SubscriptionID, sequences []uint64, busy bool)
	// Checkpoint gives the durable account of a journal that this member keeps: another member
	// would go on from it.
	Checkpoint(mark Watermark, cursors []Cursor)
	// Finished tells that nothing of an adopted journal is needed any more.
	Finished(journal JournalID)
}

// Members is the port to the cluster as the API sees it (cluster.Node, through cmd/pannier).
type Members interface {
	// PutVersion gives a version its revision and puts it in force on every member. Errors:
	// unavailable.
	PutVersion(ctx context.Context, version *Subscription) error
	// Identities and Answer find what given ids or an Idempotency-Key were used for, on any member
	// that is seen. Errors: unavailable (one that is seen does not answer).
	Identities(ctx context.Context, ids []string) (map[string]Identity, error)
	Answer(ctx context.Context, key string) (Answer, bool, error)
	// Deliveries describes the deliveries of an event as the owners of the subscriptions know them
	// (Engine.LocalDeliveries), in order of id. Errors: unavailable (an owner does not answer).
	Deliveries(ctx context.Context, event *Event, ids []SubscriptionID) ([]DeliveryView, error)
	// Attempts lists what the histories of all members that answer have of one delivery: each has
	// the attempts that it made itself.
	Attempts(ctx context.Context, sub SubscriptionID, key DeliveryKey) []Attempt
	// ShareKey tells every member that is seen of an API key, or of its end; the others hear of it
	// when they are back.
	ShareKey(ctx context.Context, key APIKey)
	// Owner is the member that owns a subscription.
	Owner(id SubscriptionID) string
	// View describes the members.
	View(ctx context.Context) ClusterView
}

// History is the log of attempts (storage.History on Badger, memory twin). It may be lost
// without losing a delivery.
type History interface {
	// Record queues attempts lazily; it drops and counts them when it cannot keep up.
	Record(attempts ...Attempt)
	// Attempts lists those of one delivery by number.
	Attempts(ctx context.Context, sub SubscriptionID, key DeliveryKey) ([]Attempt, error)
	Close() error
}

// Sender makes attempts (egress.Sender).
type Sender interface {
	// Send makes one attempt and returns when the response's headers are in or the timeout
	// of the subscription is over. ctx ends only at shutdown.
	Send(ctx context.Context, request *SendRequest) Result
}

// Clock is wall time; tests and the simulator give their own.
type Clock func() time.Time
