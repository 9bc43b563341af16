package main

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// The topics of the fleet. The spelling vehicule is the platform's own.
const (
	topicTripCreated    = "trip.created"
	topicTripUpdated    = "trip.updated"
	topicTripTerminated = "trip.terminated"
	topicPosition       = "vehicle.position"
	topicForbidden      = "vehicule.position.forbidden"
	topicCyclistCreated = "cyclist.created"
)

const (
	// fleetTick is the step of the simulation.
	fleetTick = time.Second
	// signUpEvery is the mean time between two cyclists who sign up.
	signUpEvery = time.Minute
)

// fleetOptions describe a fleet.
type fleetOptions struct {
	Seed          uint64
	Bikes         int
	Start         time.Time
	PositionEvery time.Duration // of a bike on a trip
}

// fleet simulates bikes that are hired, ride, pause, stray into the zone where nobody may
// ride, and are returned; and cyclists who sign up. The same options and steps give the
// same events: there is no clock and no other source of chance in it. Not safe for
// concurrent use.
type fleet struct {
	random   *rand.Rand
	now      time.Time
	every    time.Duration
	provider string
	bikes    []*bike
	signUpAt time.Time
	drafts   []draftEvent // of the step under way
}

// draftEvent is an event as a producer has it before it is posted.
type draftEvent struct {
	Topic     string          `json:"topic"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

func newFleet(o fleetOptions) *fleet {
	f := &fleet{
		random: rand.New(rand.NewPCG(o.Seed, o.Seed)), //nolint:gosec // a simulation must repeat itself
		now:    o.Start.UTC().Truncate(time.Millisecond), every: o.PositionEvery,
	}
	f.provider = f.uuid()
	f.signUpAt = f.now.Add(f.between(0, signUpEvery))
	for i := range o.Bikes {
		f.bikes = append(f.bikes, newBike(f, i))
	}
	return f
}

// Step moves the simulation on to now and gives the events on the way, in order of time.
// The result does not depend on the number of steps it is reached in.
func (f *fleet) Step(now time.Time) []draftEvent {
	f.drafts = nil
	for !f.now.Add(fleetTick).After(now) {
		f.now = f.now.Add(fleetTick)
		if !f.now.Before(f.signUpAt) {
			f.signUp()
		}
		for _, b := range f.bikes {
			b.tick(f)
		}
	}
	return f.drafts
}

// signUp makes a cyclist. The event is thin: who it is, the consumer asks for.
func (f *fleet) signUp() {
	f.emit(topicCyclistCreated, cyclistCreated{
		ID: f.cyclist(), Status: "CREATED", CreationDate: f.now.Format(time.RFC3339), Plan: "annual",
	})
	f.signUpAt = f.now.Add(f.between(0, 2*signUpEvery))
}

func (f *fleet) emit(topic string, payload any) {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", topic, err)) // the payloads are constant shapes
	}
	f.drafts = append(f.drafts, draftEvent{Topic: topic, Timestamp: f.now, Data: data})
}

// between draws a duration in whole milliseconds from [low, high).
func (f *fleet) between(low, high time.Duration) time.Duration {
	return low + time.Duration(f.random.Int64N((high-low).Milliseconds()))*time.Millisecond
}

// uniform draws a number from [low, high).
func (f *fleet) uniform(low, high float64) float64 {
	return low + f.random.Float64()*(high-low)
}

// parkable draws a place around centre where a bike may be left.
func (f *fleet) parkable(centre place, near, far float64) place {
	for {
		p := city.clamp(centre.away(f.uniform(near, far), f.uniform(0, 360)))
		if !noRideZone.contains(p) && p.metres(centre) >= near {
			return p
		}
	}
}

// uuid draws a version 4 UUID.
func (f *fleet) uuid() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], f.random.Uint64())
	binary.BigEndian.PutUint64(b[8:], f.random.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// cyclist draws the reference of a cyclist: nothing in it tells who it is.
func (f *fleet) cyclist() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], f.random.Uint64())
	return "cyc_" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}
