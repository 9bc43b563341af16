package engine

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is what the API calls. Safe for concurrent use.
type Engine struct {
	state      State
	history    History
	lanes      Lanes
	deliveries Deliveries
	table      *Table
	recent     *Recent
	endpoints  EndpointPolicy
	keys       *keyring
	clock      Clock
	logger     *slog.Logger
	member     Member

	editing  sync.Mutex // one edit of an existing subscription at a time
	changing sync.Mutex // orders revisions
	revision uint64     // of the last change begun
	dropped  *DroppedBatches
	replays  *replays
	unready  func() error
	warnings func() []string
	stopping atomic.Bool
	cluster  Members
}

// EndpointPolicy judges what a subscription asks to be sent where (egress.Policy).
type EndpointPolicy interface {
	CheckURL(url string) error
	CheckHeaders(headers map[string]string) error
}

// Member describes this process.
type Member struct {
	ID        string
	Address   string
	Boot      uint64
	StartedAt time.Time
}

// Options are what an Engine is made from.
type Options struct {
	State      State
	History    History
	Lanes      Lanes
	Deliveries Deliveries
	Table      *Table
	Recent     *Recent
	Endpoints  EndpointPolicy
	Dropped    *DroppedBatches
	APIKeys    []APIKey
	Replays    []Replay
	// AdminKey is the first admin key; "" with no stored key is development mode.
	AdminKey string
	Clock    Clock
	Logger   *slog.Logger
	Member   Member
	// Members is the cluster; nil for a member that runs alone.
	Members Members
	// Unready says why events would be refused; nil or a nil error: they are taken.
	Unready func() error
	// Warnings says what an operator should look at although the member is ready.
	Warnings func() []string
}

// New makes an Engine.
func New(o Options) *Engine {
	e := &Engine{
		state: o.State, history: o.History, lanes: o.Lanes, deliveries: o.Deliveries,
		table: o.Table, recent: o.Recent, endpoints: o.Endpoints, dropped: o.Dropped,
		keys: newKeyring(o.AdminKey, o.APIKeys), clock: o.Clock, logger: o.Logger,
		member: o.Member, revision: o.Table.Revision(), unready: o.Unready, warnings: o.Warnings, cluster: o.Members,
	}
	e.replays = newReplays(e, o.Replays)
	return e
}
