package main

import (
	"fmt"
	"math"
	"time"
)

// How a bike is used.
const (
	longestPark  = 8 * time.Minute // before the next trip
	shortestTrip = 800.0           // metres as the crow flies
	longestTrip  = 4000.0
	slowest      = 3.5 // metres a second
	fastest      = 6.0
	shortPause   = 20 * time.Second
	longPause    = 90 * time.Second
	// metresPerPercent is how far a percent of the battery helps.
	metresPerPercent = 600
	// lowBattery is when the battery is changed after a trip.
	lowBattery = 15
)

// bike is one vehicle.
//
//	        hired              pauses
//	parked ───────► riding ◄──────────► paused
//	   ▲               │      goes on
//	   └───────────────┘
//	        returned
type bike struct {
	device  string
	vehicle string
	at      place
	battery float64
	hiredAt time.Time // when it is parked: of the next trip
	trip    *trip     // nil: parked
}

// trip is one hire of a bike.
type trip struct {
	id         string
	start      time.Time
	from, to   place
	speed      float64 // metres a second
	metres     float64 // ridden so far
	positionAt time.Time
	pauseAt    time.Time // zero: it will not pause, or has
	resumeAt   time.Time // zero: it is not paused
	inZone     bool
}

func newBike(f *fleet, number int) *bike {
	return &bike{
		device: f.uuid(), vehicle: fmt.Sprintf("BK-%d", 20001+number),
		at: f.parkable(square, 0, longestTrip), battery: f.uniform(40, 100),
		hiredAt: f.now.Add(f.between(0, longestPark)),
	}
}

// tick moves the bike on by one fleetTick.
func (b *bike) tick(f *fleet) {
	switch {
	case b.trip == nil:
		if !f.now.Before(b.hiredAt) {
			b.hire(f)
		}
		return
	case !b.trip.resumeAt.IsZero():
		if !f.now.Before(b.trip.resumeAt) {
			b.trip.resumeAt = time.Time{}
			b.update(f, "trip_resume", "on_trip")
		}
	case !b.trip.pauseAt.IsZero() && !f.now.Before(b.trip.pauseAt):
		b.trip.pauseAt, b.trip.resumeAt = time.Time{}, f.now.Add(f.between(shortPause, longPause))
		b.update(f, "trip_pause", "stopped")
	default:
		b.ride(f)
	}
	if b.at == b.trip.to {
		b.giveBack(f)
		return
	}
	if !f.now.Before(b.trip.positionAt) {
		b.position(f)
	}
}

func (b *bike) hire(f *fleet) {
	b.trip = &trip{
		id: f.uuid(), start: f.now, from: b.at, to: f.parkable(b.at, shortestTrip, longestTrip),
		speed: f.uniform(slowest, fastest), positionAt: f.now.Add(f.between(0, f.every)),
	}
	if f.random.IntN(3) == 0 {
		b.trip.pauseAt = f.now.Add(f.between(time.Minute, 4*time.Minute))
	}
	f.emit(topicTripCreated, tripCreated{
		Trip: b.trip.id, TripType: "rider", Device: b.device, Vehicle: b.vehicle, VehicleType: "bicycle",
		Propulsion: []string{"human", "electric_assist"}, State: "on_trip", EventTypes: []string{"trip_start"},
		StartTime: f.now.UnixMilli(), StartLocation: pointOf(b.at), Stop: f.uuid(), Cyclist: f.cyclist(),
	})
}

func (b *bike) ride(f *fleet) {
	before := b.at
	b.at = b.at.towards(b.trip.to, b.trip.speed*fleetTick.Seconds())
	ridden := before.metres(b.at)
	b.trip.metres += ridden
	b.battery = max(0, b.battery-ridden/metresPerPercent)
	inside := noRideZone.contains(b.at)
	if inside && !b.trip.inZone {
		b.forbidden(f)
	}
	b.trip.inZone = inside
}

func (b *bike) giveBack(f *fleet) {
	t := b.trip
	duration := f.now.Sub(t.start)
	b.trip, b.hiredAt = nil, f.now.Add(f.between(time.Minute, longestPark))
	f.emit(topicTripTerminated, tripTerminated{
		Trip: t.id, Device: b.device, EventTypes: []string{"trip_end"}, State: "available",
		StartTime: t.start.UnixMilli(), EndTime: f.now.UnixMilli(), Duration: int(duration.Seconds()),
		Distance: int(math.Round(t.metres)), StartLocation: pointOf(t.from), EndLocation: pointOf(b.at),
		Parking: "corral", StandardCost: 100 + 8*int(duration.Minutes()), Currency: "EUR", Battery: b.percent(),
	})
	if b.battery < lowBattery {
		b.battery = 100
	}
}

func (b *bike) update(f *fleet, event, state string) {
	f.emit(topicTripUpdated, tripUpdated{
		Trip: b.trip.id, EventTypes: []string{event}, State: state, Timestamp: f.now.UnixMilli(),
		Location: pointOf(b.at), Battery: b.percent(),
	})
}

func (b *bike) position(f *fleet) {
	b.trip.positionAt = b.trip.positionAt.Add(f.every)
	f.emit(topicPosition, vehiclePosition{
		Device: b.device, Provider: f.provider, Telemetry: f.uuid(), Timestamp: f.now.UnixMilli(),
		Trips: []string{b.trip.id}, Battery: b.percent(), Location: fix{
			point: pointOf(b.at), Altitude: rounded(f.uniform(5, 30), 1), Heading: rounded(b.at.heading(b.trip.to), 0),
			Speed: rounded(b.speed(), 1), Accuracy: rounded(f.uniform(2, 8), 1), Satellites: 7 + f.random.IntN(8),
		},
	})
}

func (b *bike) forbidden(f *fleet) {
	f.emit(topicForbidden, positionForbidden{
		Event: f.uuid(), Device: b.device, Trips: []string{b.trip.id}, State: "on_trip",
		EventTypes: []string{"changed_geographies"}, Timestamp: f.now.UnixMilli(),
		Location:    crossing{point: pointOf(b.at), Speed: rounded(b.speed(), 1), Accuracy: rounded(f.uniform(2, 8), 1)},
		Geographies: []string{noRideGeography},
		Zone:        zone{Type: "no_ride_zone", Name: "No Ride Zones"},
		Rule:        zoneRule{MaximumSpeed: 6},
	})
}

func (b *bike) speed() float64 {
	if !b.trip.resumeAt.IsZero() {
		return 0
	}
	return b.trip.speed
}

func (b *bike) percent() int { return int(math.Round(b.battery)) }
