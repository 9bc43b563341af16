package ride

import (
	"fmt"
	"math"
	"strconv"

	"pannier/bench/load/tally"
)

// The kinds of marks that stand in the payloads as UUIDs.
const (
	markTrip = iota + 1
	markPosition
	markForbidden
	markBike
)

// Topics are the topics of a day and the members of their payloads that hold the mark.
var Topics = []tally.Topic{
	{Name: TopicCreated, Member: "trip_id"},
	{Name: TopicPosition, Member: "telemetry_id"},
	{Name: TopicTerminated, Member: "trip_id"},
	{Name: TopicForbidden, Member: "event_id"},
}

// AppendData appends the data of an event. The names of members are those of the Mobility
// Data Specification 2.0 and, for the zone's rule, of GBFS 3; times are milliseconds as in
// MDS. What the table does not say (battery, accuracy) is made up from the numbers.
func (d *Day) AppendData(b []byte, run uint32, e *Event) []byte {
	trip := d.Trip(e.Trip)
	switch e.Topic {
	case TopicCreated:
		return appendCreated(b, run, e, trip)
	case TopicPosition:
		return appendPosition(b, run, e, trip)
	case TopicTerminated:
		return appendTerminated(b, run, e, trip)
	default:
		return appendForbidden(b, run, e, trip)
	}
}

func appendCreated(b []byte, run uint32, e *Event, trip *Trip) []byte {
	plan := "day"
	if trip.Member {
		plan = "annual"
	}
	return fmt.Appendf(b, `{"trip_id":"%s","trip_type":"rider","device_id":"%s","vehicle_id":"BK-%d","vehicle_type":"bicycle",`+
		`"propulsion_types":["human"],"vehicle_state":"on_trip","event_types":["trip_start"],"start_time":%d,`+
		`"start_location":{"lat":%.6f,"lng":%.6f},"stop_id":%q,"plan_id":"%s"}`,
		mark(run, markTrip, e.Trip), mark(run, markBike, e.Bike), 20001+e.Bike, e.At*1000,
		e.Place.Lat, e.Place.Lng, trip.Stop, plan)
}

// appendPosition does without fmt: positions are almost all events of a day.
func appendPosition(b []byte, run uint32, e *Event, trip *Trip) []byte {
	b = mark(run, markBike, e.Bike).Append(append(b, `{"device_id":"`...))
	b = append(b, `","provider_id":"c20e08cf-8488-46a6-a66c-5d8fb827f7e0","telemetry_id":"`...)
	b = mark(run, markPosition, e.Number).Append(b)
	b = strconv.AppendInt(append(b, `","timestamp":`...), e.At*1000, 10)
	b = mark(run, markTrip, e.Trip).Append(append(b, `,"trip_ids":["`...))
	b = strconv.AppendFloat(append(b, `"],"journey_id":null,"location":{"lat":`...), e.Place.Lat, 'f', 6, 64)
	b = strconv.AppendFloat(append(b, `,"lng":`...), e.Place.Lng, 'f', 6, 64)
	b = strconv.AppendUint(append(b, `,"altitude":`...), 5+e.Trip%25, 10)
	b = strconv.AppendFloat(append(b, `.5,"heading":`...), trip.From.Heading(trip.To), 'f', 1, 64)
	b = strconv.AppendFloat(append(b, `,"speed":`...), trip.speed(), 'f', 1, 64)
	b = strconv.AppendUint(append(b, `,"horizontal_accuracy":`...), 2+e.Number%6, 10)
	b = strconv.AppendUint(append(b, `.2,"satellites":`...), 7+e.Number%8, 10)
	b = strconv.AppendUint(append(b, `},"battery_percent":`...), 40+e.Bike%60, 10)
	return append(b, `,"tipped_over":false}`...)
}

func appendTerminated(b []byte, run uint32, e *Event, trip *Trip) []byte {
	return fmt.Appendf(b, `{"trip_id":"%s","device_id":"%s","event_types":["trip_end"],"vehicle_state":"available",`+
		`"start_time":%d,"end_time":%d,"duration":%d,"distance":%.0f,"start_location":{"lat":%.6f,"lng":%.6f},`+
		`"end_location":{"lat":%.6f,"lng":%.6f},"parking_category":"corral","standard_cost":%d,"actual_cost":0,`+
		`"currency":"USD","battery_percent":%d}`,
		mark(run, markTrip, e.Trip), mark(run, markBike, e.Bike), trip.Start*1000, e.At*1000, trip.Duration,
		math.Round(trip.From.Metres(trip.To)), trip.From.Lat, trip.From.Lng, e.Place.Lat, e.Place.Lng,
		300+trip.Duration/1800*400, 40+e.Bike%60)
}

func appendForbidden(b []byte, run uint32, e *Event, trip *Trip) []byte {
	return fmt.Appendf(b, `{"event_id":"%s","device_id":"%s","trip_ids":["%s"],"vehicle_state":"on_trip",`+
		`"event_types":["changed_geographies"],"timestamp":%d,"location":{"lat":%.6f,"lng":%.6f,"speed":%.1f,`+
		`"horizontal_accuracy":%d.2},"event_geographies":["e00535dd-d8ff-4b1b-920d-34e7404d0208"],`+
		`"zone":{"geography_type":"no_ride_zone","name":"No Ride Zones"},"rule":{"ride_start_allowed":false,`+
		`"ride_end_allowed":false,"ride_through_allowed":false,"maximum_speed_kph":6}}`,
		mark(run, markForbidden, e.Number), mark(run, markBike, e.Bike), mark(run, markTrip, e.Trip), e.At*1000,
		e.Place.Lat, e.Place.Lng, trip.speed(), 2+e.Number%6)
}

func mark(run uint32, kind uint16, number uint64) tally.Mark {
	return tally.Mark{Run: run, Kind: kind, Number: number}
}
