package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"pannier/bench/load/tally"
)

// outcome is what a run has found.
type outcome struct {
	start   time.Time
	posted  time.Time // when the last request was answered
	last    time.Time // when the last event arrived
	audited time.Time // when the comparison was done

	book     *tally.Book
	partners *partners
	report   tally.Report
	cost     *cost // nil: not known; taken before the feeds were read

	repeats                     int64 // requests that were repeated
	refused, unanswered, unsent int64 // events of the synthetic load
}

// print writes the figures and the verdict. Errors: errMismatch, the writer's own.
func (o *outcome) print(out io.Writer, topics []tally.Topic) error {
	if err := o.printLines(out); err != nil {
		return err
	}
	if err := o.printFigures(out, topics); err != nil {
		return err
	}
	for _, note := range o.report.Notes {
		_, _ = fmt.Fprintln(out, "note:", note)
	}
	for _, mismatch := range o.report.Mismatches {
		_, _ = fmt.Fprintln(out, "MISMATCH:", mismatch)
	}
	if len(o.report.Mismatches) > 0 {
		return errMismatch
	}
	_, err := fmt.Fprintln(out, "posted, arrived and the feed agree")
	return err
}

func (o *outcome) printLines(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\nsubscription\ttopic\taccepted\tarrived\tduplicates\tfeed\tundelivered\tdead\tp50\tp99\t")
	for _, line := range o.report.Lines {
		feed := "-"
		if line.Listed >= 0 {
			feed = fmt.Sprint(line.Listed)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\t%s\t\n", line.Subscription, line.Topic, line.Accepted,
			line.Arrived, line.Duplicates, feed, line.Undelivered, line.Dead, short(line.P50), short(line.P99))
	}
	return table.Flush()
}

func (o *outcome) printFigures(out io.Writer, topics []tally.Topic) error {
	accepted, arrivals := int64(0), int64(0)
	for _, topic := range topics {
		accepted += o.book.Accepted(topic.Name)
	}
	for _, line := range o.report.Lines {
		arrivals += line.Arrived + line.Duplicates
	}
	unique := o.partners.unique()
	posting, delivering := o.posted.Sub(o.start), max(0, o.last.Sub(o.start))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) { _, _ = fmt.Fprintf(table, name+"\t"+format+"\n", values...) }
	row("\naccepted", "%d events in %s, %.0f/s", accepted, short(posting), perSecond(accepted, posting))
	row("delivered", "%d in %s, %.0f/s", unique, short(delivering), perSecond(unique, delivering))
	row("due → 202", "p50 %s, p99 %s a request", short(o.book.Accepting.Percentile(0.5)), short(o.book.Accepting.Percentile(0.99)))
	row("requests repeated", "%d", o.repeats)
	if o.refused+o.unanswered+o.unsent > 0 {
		row("events refused, unanswered, unsent", "%d, %d, %d", o.refused, o.unanswered, o.unsent)
	}
	row("comparison", "%s", short(o.audited.Sub(o.last)))
	if c := o.cost; c != nil {
		row("server CPU", "%s, %.1f ms per 1,000 deliveries", short(c.CPU), 1e6*c.CPU.Seconds()/float64(max(1, arrivals)))
		row("server memory", "RssAnon %s (peak %s), RSS %s (peak %s)", mebi(c.RSSAnon), mebi(c.RSSAnonPeak), mebi(c.RSS), mebi(c.RSSPeak))
		row("server writes", "%s, %.0f bytes an event", mebi(c.Written), float64(c.Written)/float64(max(1, accepted)))
		if c.disk >= 0 {
			row("on disk", "%s, %.0f bytes an event", mebi(c.disk), float64(c.disk)/float64(max(1, accepted)))
		}
	}
	return table.Flush()
}

func perSecond(count int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(count) / d.Seconds()
}

func mebi(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// short rounds a duration to what a reader can use.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}
