package ride

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Stations are the places of stations by id.
type Stations map[string]Place

// ReadStations reads a table with the columns station_id, latitude and longitude. Rows
// that say no place are counted and left out. Errors: a column is missing, more than
// MaxStations, the reader's own.
func ReadStations(r io.Reader) (stations Stations, badRows int, err error) {
	stations = make(Stations)
	err = readTable(r, []string{"station_id", "latitude", "longitude"}, func(row []string) error {
		place, ok := parsePlace(row[1], row[2])
		if row[0] == "" || !ok {
			badRows++
			return nil
		}
		if len(stations) == MaxStations {
			return fmt.Errorf("more than %d stations", MaxStations)
		}
		stations[row[0]] = place
		return nil
	}, func() { badRows++ })
	if err != nil {
		return nil, badRows, fmt.Errorf("read stations: %w", err)
	}
	return stations, badRows, nil
}

func parsePlace(lat, lng string) (Place, bool) {
	north, northErr := strconv.ParseFloat(lat, 64)
	east, eastErr := strconv.ParseFloat(lng, 64)
	place := Place{north, east}
	return place, northErr == nil && eastErr == nil && onEarth.Contains(place)
}

var onEarth = Area{South: -90, West: -180, North: 90, East: 180}

// readTable hands each row to visit, its columns in the order they were asked for. Rows
// that are too short or not CSV go to bad.
func readTable(r io.Reader, columns []string, visit func(row []string) error, bad func()) error {
	reader := csv.NewReader(r)
	reader.ReuseRecord, reader.FieldsPerRecord = true, -1
	header, err := reader.Read()
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	at, err := positions(header, columns)
	if err != nil {
		return err
	}
	row := make([]string, len(columns))
	for {
		record, err := reader.Read()
		var malformed *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &malformed):
			bad()
			continue
		case err != nil:
			return err
		}
		if !pick(row, record, at) {
			bad()
			continue
		}
		if err := visit(row); err != nil {
			return err
		}
	}
}

func positions(header, columns []string) ([]int, error) {
	at := make([]int, len(columns))
	for i, column := range columns {
		at[i] = -1
		for n, name := range header {
			if name == column {
				at[i] = n
			}
		}
		if at[i] < 0 {
			return nil, fmt.Errorf("the column %s is missing", column)
		}
	}
	return at, nil
}

func pick(row, record []string, at []int) bool {
	for i, n := range at {
		if n >= len(record) {
			return false
		}
		row[i] = record[n]
	}
	return true
}
