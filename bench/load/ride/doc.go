// Package ride turns a table of bike trips into the events of a day: trip.created when a
// trip starts, vehicle.position every 10 s on the line between its stations,
// trip.terminated when it ends, and vehicule.position.forbidden for each position inside
// the zone where nobody may ride. It reads no clock and posts nothing; the same tables
// give the same events in the same order.
package ride

import "time"

// The topics of a day. The spelling of the last one is the platform's own.
const (
	TopicCreated    = "trip.created"
	TopicPosition   = "vehicle.position"
	TopicTerminated = "trip.terminated"
	TopicForbidden  = "vehicule.position.forbidden"
)

// The bounds of the tables.
const (
	// MaxTrips bounds the trips of a table: they are all in memory, 80 bytes each.
	MaxTrips = 2_000_000
	// MaxStations bounds the stations of a table.
	MaxStations = 100_000
	// MaxDuration bounds a trip: a bike that was lost comes back weeks later.
	MaxDuration = 90 * 24 * time.Hour
	// PositionEvery is the time between two positions of a bike under way.
	PositionEvery = 10 * time.Second
)
