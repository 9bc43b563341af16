package ride

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// The shape of a generated table: an ordinary hour of a big city.
const (
	tripsPerHour     = 2300
	generatedStation = 600
	// medianSeconds and spreadOfLog are those of a log-normal duration: 870 s on average, and
	// so some 87 positions a trip.
	medianSeconds = 614
	spreadOfLog   = 0.835
	// Rows in a thousand that name a station nobody knows, and that are no trip at all.
	unknownInThousand = 24
	badInThousand     = 1
)

// city is where the stations of a generated table lie.
var city = Area{South: 40.7000, West: -74.0150, North: 40.7950, East: -73.9500}

// Generate makes a table of stations and a table of trips that start in the hours from
// start, in the shape of real ones: some rows name unknown stations, a few are broken.
// The same seed gives the same tables.
func Generate(seed uint64, start time.Time, hours int) (stations, trips []byte) {
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a generator must repeat itself
	var table bytes.Buffer
	table.WriteString("station_id,latitude,longitude,name\n")
	for id := range generatedStation {
		place := generatedPlace(random)
		_, _ = fmt.Fprintf(&table, "%d,%.8f,%.8f,\"Station %d, Corner\"\n", id+1, place.Lat, place.Lng, id+1)
	}
	stations = bytes.Clone(table.Bytes())
	table.Reset()
	table.WriteString("start_ts,duration,start_station,end_station,subscriber\n")
	rows := tripsPerHour * hours
	for n := range rows {
		at := start.Add(time.Duration(n) * time.Duration(hours) * time.Hour / time.Duration(rows))
		writeTrip(&table, random, at)
	}
	return stations, table.Bytes()
}

// generatedPlace draws a place in the city outside the zone: nobody parks there.
func generatedPlace(random *rand.Rand) Place {
	for {
		place := Place{
			city.South + random.Float64()*(city.North-city.South),
			city.West + random.Float64()*(city.East-city.West),
		}
		if !NoRideZone.Contains(place) {
			return place
		}
	}
}

func writeTrip(table *bytes.Buffer, random *rand.Rand, at time.Time) {
	from, to := 1+random.IntN(generatedStation), 1+random.IntN(generatedStation)
	switch kind := random.IntN(1000); {
	case kind < badInThousand:
		_, _ = fmt.Fprintf(table, "%s,,%d\n", at.Format(startLayout), from)
		return
	case kind < badInThousand+unknownInThousand:
		to += generatedStation
	}
	subscriber := 1
	if random.IntN(10) == 0 {
		subscriber = 0
	}
	seconds := max(61, int(medianSeconds*math.Exp(spreadOfLog*random.NormFloat64())))
	_, _ = fmt.Fprintf(table, "%s,%d,%d,%d,%d\n", at.Format(startLayout), seconds, from, to, subscriber)
}
