package ride

import "math"

// Place is a point on the ground, in degrees.
type Place struct{ Lat, Lng float64 }

// Area is a rectangle in degrees, its edges included.
type Area struct{ South, West, North, East float64 }

// NoRideZone is where nobody may ride: the squares for pedestrians along Broadway, from
// West 42nd to West 47th Street. No station lies in it, so who is inside is passing through.
var NoRideZone = Area{South: 40.7555, West: -73.9875, North: 40.7597, East: -73.9838}

// metresPerDegree is the length of a degree of latitude.
const metresPerDegree = 111_320

// Contains tells whether p lies in the area.
func (a Area) Contains(p Place) bool {
	return p.Lat >= a.South && p.Lat <= a.North && p.Lng >= a.West && p.Lng <= a.East
}

// Between is the point on the line from p to q after a part (0 to 1) of it.
func (p Place) Between(q Place, part float64) Place {
	return Place{p.Lat + (q.Lat-p.Lat)*part, p.Lng + (q.Lng-p.Lng)*part}
}

// Metres is the distance to q: the ground of one city counts as flat.
func (p Place) Metres(q Place) float64 { return math.Hypot(p.offset(q)) }

// Heading is the direction to q in degrees, clockwise from north; 0 to itself.
func (p Place) Heading(q Place) float64 {
	north, east := p.offset(q)
	return math.Mod(math.Atan2(east, north)*180/math.Pi+360, 360)
}

func (p Place) offset(q Place) (north, east float64) {
	shrink := math.Cos((p.Lat + q.Lat) / 2 * math.Pi / 180)
	return (q.Lat - p.Lat) * metresPerDegree, (q.Lng - p.Lng) * metresPerDegree * shrink
}
