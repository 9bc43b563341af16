package main

import "math"

// The payloads of the fleet. The names of their members are those of the Mobility Data
// Specification 2.0 and, for the zone's rule, of GBFS 3; times are milliseconds since the
// epoch as in MDS. trip_pause, trip_resume and stopped are MDS's own but not of its
// micromobility mode. cyclist.created is thin on purpose: no name, mail or phone.

// noRideGeography is the id of the zone, as in the MDS geography example.
const noRideGeography = "e00535dd-d8ff-4b1b-920d-34e7404d0208"

type point struct {
	Lat float64 `json:"lat"`
	Lng float64 `json:"lng"`
}

// pointOf gives a place to six decimals: a hand's breadth.
func pointOf(p place) point { return point{rounded(p.lat, 6), rounded(p.lng, 6)} }

func rounded(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}

// fix is a position as the bike's receiver measured it.
type fix struct {
	point
	Altitude   float64 `json:"altitude"`
	Heading    float64 `json:"heading"`
	Speed      float64 `json:"speed"`
	Accuracy   float64 `json:"horizontal_accuracy"`
	Satellites int     `json:"satellites"`
}

type vehiclePosition struct {
	Device     string   `json:"device_id"`
	Provider   string   `json:"provider_id"`
	Telemetry  string   `json:"telemetry_id"`
	Timestamp  int64    `json:"timestamp"`
	Trips      []string `json:"trip_ids"`
	Journey    *string  `json:"journey_id"`
	Location   fix      `json:"location"`
	Battery    int      `json:"battery_percent"`
	TippedOver bool     `json:"tipped_over"`
}

type tripCreated struct {
	Trip          string   `json:"trip_id"`
	TripType      string   `json:"trip_type"`
	Device        string   `json:"device_id"`
	Vehicle       string   `json:"vehicle_id"`
	VehicleType   string   `json:"vehicle_type"`
	Propulsion    []string `json:"propulsion_types"`
	State         string   `json:"vehicle_state"`
	EventTypes    []string `json:"event_types"`
	StartTime     int64    `json:"start_time"`
	StartLocation point    `json:"start_location"`
	Stop          string   `json:"stop_id"`
	Cyclist       string   `json:"cyclist_ref"`
}

type tripUpdated struct {
	Trip       string   `json:"trip_id"`
	EventTypes []string `json:"event_types"`
	State      string   `json:"vehicle_state"`
	Timestamp  int64    `json:"timestamp"`
	Location   point    `json:"location"`
	Battery    int      `json:"battery_percent"`
}

type tripTerminated struct {
	Trip          string   `json:"trip_id"`
	Device        string   `json:"device_id"`
	EventTypes    []string `json:"event_types"`
	State         string   `json:"vehicle_state"`
	StartTime     int64    `json:"start_time"`
	EndTime       int64    `json:"end_time"`
	Duration      int      `json:"duration"` // seconds
	Distance      int      `json:"distance"` // metres
	StartLocation point    `json:"start_location"`
	EndLocation   point    `json:"end_location"`
	Parking       string   `json:"parking_category"`
	StandardCost  int      `json:"standard_cost"` // cents
	ActualCost    int      `json:"actual_cost"`
	Currency      string   `json:"currency"`
	Battery       int      `json:"battery_percent"`
}

type cyclistCreated struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	CreationDate string `json:"creationDate"`
	Plan         string `json:"plan_id"`
}

// crossing is where a bike crossed into a zone.
type crossing struct {
	point
	Speed    float64 `json:"speed"`
	Accuracy float64 `json:"horizontal_accuracy"`
}

type positionForbidden struct {
	Event       string   `json:"event_id"`
	Device      string   `json:"device_id"`
	Trips       []string `json:"trip_ids"`
	State       string   `json:"vehicle_state"`
	EventTypes  []string `json:"event_types"`
	Timestamp   int64    `json:"timestamp"`
	Location    crossing `json:"location"`
	Geographies []string `json:"event_geographies"`
	Zone        zone     `json:"zone"`
	Rule        zoneRule `json:"rule"`
}

type zone struct {
	Type string `json:"geography_type"`
	Name string `json:"name"`
}

// zoneRule is what GBFS says of a zone where nobody may ride.
type zoneRule struct {
	RideStart    bool `json:"ride_start_allowed"`
	RideEnd      bool `json:"ride_end_allowed"`
	RideThrough  bool `json:"ride_through_allowed"`
	MaximumSpeed int  `json:"maximum_speed_kph"`
}
