package engine

import "time"

// The bounds of the public contract. Each has a test that goes one past it.
const (
	MaxTopicBytes      = 128
	MaxTopicSegments   = 16
	MaxEventIDBytes    = 64
	MaxEventBytes      = 256 << 10 // one event, as posted
	MaxRequestBytes    = 8 << 20   // one request
	MaxBatchEvents     = 10_000    // events of one request: bounds what one group commit holds
	MaxDataDepth       = 64
	MaxTenantBytes     = 64
	MaxExtensionsBytes = 8 << 10

	MaxTopicsPerSubscription = 100
	MaxURLBytes              = 2048
	MaxHeaders               = 32
	MaxHeaderBytes           = 8 << 10
	MaxDescriptionBytes      = 1024

	MinSecretBytes = 24
	MaxSecretBytes = 64
	MaxSecrets     = 5 // secrets valid at once during rotations
	MaxGrace       = 168 * time.Hour

	MaxRetries      = 20
	MinRetryDelay   = time.Second
	MaxRetryDelay   = 24 * time.Hour
	MinTimeout      = time.Second
	MaxTimeout      = 30 * time.Second
	MaxInFlight     = 1024
	MinRate         = 0.1
	MaxRate         = 100_000
	MaxResponseBody = 1 << 10 // of a response, kept for the attempt log

	MaxPageSize     = 1000
	DefaultPageSize = 50

	MaxPromotedLanes = 16
	MaxLaneName      = 32
)

// How long things are kept.
const (
	IdentityWindow      = 24 * time.Hour      // a given id or Idempotency-Key is remembered
	DeadLetterRetention = 30 * 24 * time.Hour // with body
	DefaultRetention    = 72 * time.Hour      // accepted events
	// MinRetention is the shortest that can be configured: shorter than that, an event could leave
	// before its first attempt is over.
	MinRetention = time.Minute
)

// The rhythm of one member.
const (
	// SpillAfter is how long a delivery may stay in memory without an end before it
	// becomes a retry record or lies behind a cursor.
	SpillAfter = 5 * time.Second
	// WatermarkInterval is how often the watermark and the cursors of a lane are written;
	// a crash repeats about this much.
	WatermarkInterval = 250 * time.Millisecond
)

// Bounds on memory.
const (
	// MailboxCapacity is how many events wait in one lane's mailbox of one subscription
	// before the subscription lags in that lane.
	MailboxCapacity = 256
	// MaxRetryRecords is how many retry records one subscription may hold before it takes no
	// further first attempts (it lags until some are settled).
	MaxRetryRecords = 10_000
)
