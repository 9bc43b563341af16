package main

import (
	"fmt"
	"math"
	"regexp"
	"time"

	"pannier/engine"
	"pannier/engine/match"
)

// What a lane has when the file does not say.
const (
	defaultLaneInFlight = 512
	defaultWindowShare  = 0.5
)

// The bounds of the lanes.
const (
	maxLaneInFlight = 4096
	// maxLanes bounds the lanes of the file: each has a journal and an ingress actor.
	maxLanes = 64
	// maxLaneTopics bounds the topics of one lane.
	maxLaneTopics = 100
)

var laneName = regexp.MustCompile(fmt.Sprintf(`^[a-z0-9-]{1,%d}$`, engine.MaxLaneName))

// laneDocument is a lane as the file has it. The pointers tell a missing value from zero.
type laneDocument struct {
	Name        string         `yaml:"name"`
	Topics      []string       `yaml:"topics"`
	Retention   *time.Duration `yaml:"retention"`
	MaxInFlight *float64       `yaml:"max_in_flight"` // into an int the library would cut 1.5 to 1
	WindowShare *float64       `yaml:"window_share"`
}

// configuredLanes judges the lanes of the file. A lane without a retention of its own has
// Retention 0: that of the server.
func configuredLanes(documents []laneDocument) ([]engine.LaneConfig, error) {
	if len(documents) > maxLanes {
		return nil, fmt.Errorf("lanes: %d are configured, at most %d can be", len(documents), maxLanes)
	}
	seen := map[string]bool{}
	lanes := make([]engine.LaneConfig, 0, len(documents))
	for i, document := range documents {
		lane, err := document.lane()
		if err != nil {
			return nil, fmt.Errorf("lanes[%d].%w", i, err)
		}
		if seen[lane.Name] {
			return nil, fmt.Errorf("lanes[%d].name: %s is configured twice", i, lane.Name)
		}
		seen[lane.Name] = true
		lanes = append(lanes, lane)
	}
	return lanes, nil
}

func (d laneDocument) lane() (engine.LaneConfig, error) {
	lane := engine.LaneConfig{Name: d.Name, MaxInFlight: defaultLaneInFlight, WindowShare: defaultWindowShare}
	if !laneName.MatchString(d.Name) {
		return lane, fmt.Errorf("name: %q is not 1 to %d of a-z, 0-9 and -", d.Name, engine.MaxLaneName)
	}
	if d.Name == engine.SharedLane {
		return lane, fmt.Errorf("name: %s is the lane of every topic without one, it is always there", d.Name)
	}
	if d.Retention != nil {
		if lane.Retention = *d.Retention; lane.Retention < engine.MinRetention {
			return lane, fmt.Errorf("retention: must be at least %v, got %v", engine.MinRetention, lane.Retention)
		}
	}
	if d.MaxInFlight != nil {
		number := *d.MaxInFlight
		if !(number >= 1 && number <= maxLaneInFlight) || number != math.Trunc(number) {
			return lane, fmt.Errorf("max_in_flight: must be a whole number between 1 and %d, got %v", maxLaneInFlight, number)
		}
		lane.MaxInFlight = int(number)
	}
	if d.WindowShare != nil {
		if lane.WindowShare = *d.WindowShare; !(lane.WindowShare > 0 && lane.WindowShare <= 1) {
			return lane, fmt.Errorf("window_share: must be above 0 and at most 1, got %v", lane.WindowShare)
		}
	}
	topics, err := d.patterns()
	lane.Topics = topics
	return lane, err
}

func (d laneDocument) patterns() ([]match.Pattern, error) {
	if len(d.Topics) == 0 || len(d.Topics) > maxLaneTopics {
		return nil, fmt.Errorf("topics: must be 1 to %d, got %d", maxLaneTopics, len(d.Topics))
	}
	patterns := make([]match.Pattern, 0, len(d.Topics))
	for i, text := range d.Topics {
		pattern, err := match.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("topics[%d]: %q %w", i, text, err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}
