package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// outputFlags choose how answers are printed.
type outputFlags struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"FORMAT" help:"Print a table or the server's json (${default})."`
}

func (o outputFlags) json() bool { return o.Output == "json" }

// show prints one resource: its members, one a line, or as it came.
func (o outputFlags) show(c console, body []byte) error {
	if o.json() {
		printJSON(c, body)
		return nil
	}
	members, err := orderedMembers(body)
	if err != nil {
		return err
	}
	for _, member := range members {
		member[1] = text(member[1])
	}
	c.print(table(nil, members))
	return nil
}

func printJSON(c console, body []byte) { c.print(string(body) + "\n") }

// table aligns rows under head; without head they stand alone.
func table(head []string, rows [][]string) string {
	var aligned strings.Builder
	columns := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	if head != nil {
		rows = slices.Insert(rows, 0, head)
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		_, _ = io.WriteString(columns, strings.Join(cells, "\t")+"\n") // a Builder takes everything
	}
	_ = columns.Flush()
	return aligned.String()
}

// orderedMembers lists the members of a JSON object in the server's order. A string is
// shown bare, anything else as JSON.
func orderedMembers(body []byte) ([][]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("the server's answer is not a JSON object")
	}
	var members [][]string
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		members = append(members, []string{fmt.Sprint(name), bare(value)})
	}
	return members, nil
}

func bare(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return string(value)
	}
	return compact.String()
}

// listFlags choose how much of a list is printed, and how.
type listFlags struct {
	outputFlags
	Limit int  `default:"50" placeholder:"N" help:"Items a page, 1 to 1000 (${default})."`
	All   bool `help:"Print every page, not the first alone."`
}

// page is one page of a list.
type page[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

// row is an item of a list that can stand in a table.
type row interface{ cells() []string }

// printList fetches a list and prints it, page by page, so that a long list needs no
// more memory than a short one. Where more follows and was not asked for, it says so on
// standard error.
func printList[T row](ctx context.Context, c console, flags listFlags, path string, query url.Values, head []string) error {
	api, err := clientFromEnvironment()
	if err != nil {
		return err
	}
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(flags.Limit))
	for {
		body, err := api.do(ctx, call{method: http.MethodGet, path: path, query: query})
		if err != nil {
			return err
		}
		var p page[T]
		if err := decodeAnswer(body, &p); err != nil {
			return err
		}
		printPage(c, flags.outputFlags, body, p.Data, head)
		if p.NextCursor == nil {
			return nil
		}
		if !flags.All {
			c.note("there is more, --all prints every page")
			return nil
		}
		query.Set("cursor", *p.NextCursor)
		head = nil
	}
}

func printPage[T row](c console, flags outputFlags, body []byte, items []T, head []string) {
	if flags.json() {
		printJSON(c, body)
		return
	}
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		rows = append(rows, item.cells())
	}
	c.print(table(head, rows))
}
