package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// report prints the medians of all contenders and those of the engine's ratios, run by run.
func report(out io.Writer, s scenario, contenders []contender, results [][]figures, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s: %s; medians of %d runs\n", s.name, s.title, len(results[0]))
	_, _ = fmt.Fprint(w, "\t")
	for _, c := range contenders {
		_, _ = fmt.Fprintf(w, "%s\t", c.name)
	}
	for _, c := range contenders[1:] {
		_, _ = fmt.Fprintf(w, "%s / %s\t", contenders[0].name, c.name)
	}
	_, _ = fmt.Fprintln(w)
	for _, row := range rows {
		_, _ = fmt.Fprintf(w, "%s\t", row.name)
		for _, runs := range results {
			_, _ = fmt.Fprintf(w, row.format+"\t", median(each(runs, row.of)))
		}
		engine := each(results[0], row.of)
		for _, runs := range results[1:] {
			ratios := each(runs, row.of)
			for i := range ratios {
				ratios[i] = engine[i] / ratios[i]
			}
			if ratio := median(ratios); math.IsInf(ratio, 0) || math.IsNaN(ratio) {
				_, _ = fmt.Fprint(w, "-\t") // the other has none of it
			} else {
				_, _ = fmt.Fprintf(w, "%.2f\t", ratio)
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush() // the report is all there is to say
}

// row is a line of the report.
type row struct {
	name, format string
	of           func(figures) float64
}

var costs = []row{
	{"delivered/s", "%.0f", func(f figures) float64 { return f.delivered }},
	{"CPU s per 1,000", "%.3f", func(f figures) float64 { return f.cpu }},
	{"memory, MiB", "%.0f", func(f figures) float64 { return f.anonymous }},
	{"memory before, MiB", "%.0f", func(f figures) float64 { return f.idle }},
	{"written / posted bytes", "%.2f", func(f figures) float64 { return f.written }},
}

func each(runs []figures, of func(figures) float64) []float64 {
	values := make([]float64, len(runs))
	for i, f := range runs {
		values[i] = of(f)
	}
	return values
}

// median of a list that is not empty: the middle one, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
