package ride

import (
	"container/heap"
	"iter"
	"time"
)

// Event is one event of a day before it is encoded. Number counts the events of its topic
// from 0; a trip.terminated has the number of its trip.created, which is the trip's.
type Event struct {
	Topic  string
	Number uint64
	Trip   uint64 // index of the trip
	Bike   uint64 // index of the bike
	At     int64  // Unix seconds
	Place  Place
}

// Day is the trips of some hours as events. Not safe for concurrent use.
type Day struct {
	trips []Trip // in order of their start
	zone  Area

	underWay  underWay
	idleBikes []uint64
	bikes     uint64
	positions uint64
	forbidden uint64
}

// NewDay makes the day of trips that are in order of their start, as ReadTrips gives them.
func NewDay(trips []Trip, zone Area) *Day { return &Day{trips: trips, zone: zone} }

// Trip is the trip with an index.
func (d *Day) Trip(index uint64) *Trip { return &d.trips[index] }

// Events gives every event in order of time, once. Whole trips count, also what is left of
// them after the last one has started.
func (d *Day) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for next := 0; next < len(d.trips) || len(d.underWay) > 0; {
			if next < len(d.trips) && (len(d.underWay) == 0 || d.trips[next].Start <= d.underWay[0].next) {
				if !yield(d.start(next)) {
					return
				}
				next++
				continue
			}
			if !d.advance(yield) {
				return
			}
		}
	}
}

// start puts a trip under way, on a bike that is free.
func (d *Day) start(index int) Event {
	trip := &d.trips[index]
	bike := d.bikes
	if n := len(d.idleBikes); n > 0 {
		bike, d.idleBikes = d.idleBikes[n-1], d.idleBikes[:n-1]
	} else {
		d.bikes++
	}
	number := uint64(index) //nolint:gosec // an index
	r := &riding{trip: number, bike: bike}
	r.plan(trip)
	heap.Push(&d.underWay, r)
	return Event{Topic: TopicCreated, Number: number, Trip: number, Bike: bike, At: trip.Start, Place: trip.From}
}

// advance gives what happens next to a bike that is under way.
func (d *Day) advance(yield func(Event) bool) bool {
	r := d.underWay[0]
	trip := &d.trips[r.trip]
	event := Event{Topic: TopicTerminated, Number: r.trip, Trip: r.trip, Bike: r.bike, At: r.next, Place: trip.To}
	if r.positions == trip.Positions() {
		heap.Pop(&d.underWay)
		d.idleBikes = append(d.idleBikes, r.bike)
		return yield(event)
	}
	event.Topic, event.Number, event.Place = TopicPosition, d.positions, trip.at(r.next-trip.Start)
	d.positions++
	r.positions++
	r.plan(trip)
	heap.Fix(&d.underWay, 0)
	if !yield(event) {
		return false
	}
	if !d.zone.Contains(event.Place) {
		return true
	}
	event.Topic, event.Number = TopicForbidden, d.forbidden
	d.forbidden++
	return yield(event)
}

// riding is a trip under way.
type riding struct {
	trip, bike uint64
	positions  int   // given so far
	next       int64 // when the next event is due, Unix seconds
}

func (r *riding) plan(trip *Trip) {
	r.next = trip.End()
	if r.positions < trip.Positions() {
		r.next = trip.Start + int64(r.positions+1)*int64(PositionEvery/time.Second)
	}
}

// underWay are the trips under way, the next event first. It implements heap.Interface.
type underWay []*riding

// Len implements heap.Interface.
func (u underWay) Len() int { return len(u) }

// Less implements heap.Interface.
func (u underWay) Less(i, j int) bool {
	return u[i].next < u[j].next || (u[i].next == u[j].next && u[i].trip < u[j].trip)
}

// Swap implements heap.Interface.
func (u underWay) Swap(i, j int) { u[i], u[j] = u[j], u[i] }

// Push implements heap.Interface.
func (u *underWay) Push(x any) { *u = append(*u, x.(*riding)) } //nolint:forcetypeassert // only riding is pushed

// Pop implements heap.Interface.
func (u *underWay) Pop() any {
	last := len(*u) - 1
	r := (*u)[last]
	(*u)[last], *u = nil, (*u)[:last]
	return r
}
