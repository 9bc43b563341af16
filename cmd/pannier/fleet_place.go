package main

import "math"

// place is a point on the ground, in degrees.
type place struct{ lat, lng float64 }

// area is a rectangle in degrees, its edges included.
type area struct{ south, west, north, east float64 }

// The fleet's ground: Nantes, the square most bikes start around, and the pedestrian
// streets of the centre, where nobody may ride.
var (
	city       = area{south: 47.180, west: -1.640, north: 47.296, east: -1.478}
	square     = place{lat: 47.2184, lng: -1.5536}
	noRideZone = area{south: 47.2115, west: -1.5660, north: 47.2170, east: -1.5520}
)

// metresPerDegree is the length of a degree of latitude.
const metresPerDegree = 111_320

func (a area) contains(p place) bool {
	return p.lat >= a.south && p.lat <= a.north && p.lng >= a.west && p.lng <= a.east
}

// clamp gives the point of the area next to p.
func (a area) clamp(p place) place {
	return place{min(max(p.lat, a.south), a.north), min(max(p.lng, a.west), a.east)}
}

// metres is the distance between two places of one city: the ground counts as flat.
func (p place) metres(q place) float64 {
	north, east := p.offset(q)
	return math.Hypot(north, east)
}

// heading is the direction from p to q in degrees, clockwise from north.
func (p place) heading(q place) float64 {
	north, east := p.offset(q)
	degrees := math.Atan2(east, north) * 180 / math.Pi
	return math.Mod(degrees+360, 360)
}

// towards is the place on the way from p to q after so many metres, at most q.
func (p place) towards(q place, metres float64) place {
	whole := p.metres(q)
	if whole <= metres {
		return q
	}
	part := metres / whole
	return place{p.lat + (q.lat-p.lat)*part, p.lng + (q.lng-p.lng)*part}
}

// away is the place so many metres from p in a direction given in degrees.
func (p place) away(metres, degrees float64) place {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return place{
		p.lat + metres*cos/metresPerDegree,
		p.lng + metres*sin/(metresPerDegree*math.Cos(p.lat*math.Pi/180)),
	}
}

func (p place) offset(q place) (north, east float64) {
	shrink := math.Cos((p.lat + q.lat) / 2 * math.Pi / 180)
	return (q.lat - p.lat) * metresPerDegree, (q.lng - p.lng) * metresPerDegree * shrink
}
