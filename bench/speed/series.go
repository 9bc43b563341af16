package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// series is how something changes with something else: a table and, when asked for, a plot.
type series struct {
	title, x, y string
	logarithmic bool // the scale of x
	at          []float64
	lines       []line
}

type line struct {
	name   string
	values []float64 // one for each of at
}

// The size of a plot.
const (
	plotWidth  = 7 * vg.Inch
	plotHeight = 4 * vg.Inch
	// legendShare of the height is for the legend.
	legendShare = 0.3
)

// show prints the table and, unless folder is "", draws the plot into a file of that name.
func (s series) show(out io.Writer, folder, name string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s\n%s\t", s.title, s.x)
	for _, l := range s.lines {
		_, _ = fmt.Fprintf(w, "%s\t", l.name)
	}
	_, _ = fmt.Fprintln(w)
	for i, x := range s.at {
		_, _ = fmt.Fprintf(w, "%.0f\t", x)
		for _, l := range s.lines {
			_, _ = fmt.Fprintf(w, "%.5g\t", l.values[i])
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush() // the table is all there is to say
	if folder == "" {
		return nil
	}
	if err := s.draw(filepath.Join(folder, name+".svg")); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

func (s series) draw(path string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = s.title, s.x, s.y
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	if s.logarithmic {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	var lines []any
	for _, l := range s.lines {
		var points plotter.XYs
		for i, x := range s.at {
			points = append(points, plotter.XY{X: x, Y: l.values[i]})
		}
		lines = append(lines, l.name, points)
	}
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return err
	}
	p.Y.Max *= 1 + legendShare // room above the lines
	p.Add(plotter.NewGrid())
	return p.Save(plotWidth, plotHeight, path)
}
