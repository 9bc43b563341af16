package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"pannier/bench/load/ride"
	"pannier/bench/load/tally"
)

// The morning rush, after midnight: one partner is down in it.
const (
	rushFrom = 7 * time.Hour
	rushTo   = 10 * time.Hour
)

// The partners of a replay.
var replayTastes = []taste{
	{"trips only", []string{"trip.*"}},
	{"everything", []string{"*"}},
	{"forbidden only", []string{ride.TopicForbidden}},
	{"down in the rush", []string{"trip.*", ride.TopicForbidden}},
}

const downInTheRush = 3 // in replayTastes

// replayTrips replays bike trips, waits for what is pending and compares.
func replayTrips(ctx context.Context, o *options, out, progress io.Writer) (err error) {
	timetable, err := readTimetable(o)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "%d trips from %s, skipped: %d with an unknown station, %d bad rows\n",
		len(timetable.trips), timetable.from.Format("2006-01-02 15:04"), timetable.skipped.UnknownStation, timetable.badRows())
	target, ctx, err := openTarget(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	start := time.Now()
	book := tally.NewBook(rand.Uint32(), start, ride.Topics) //nolint:gosec // keeps runs apart, no secret
	partners, err := subscribe(ctx, target.client, book, replayTastes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, partners.close(ctx)) }()
	watch := watchProgress(progress, book, partners, ride.Topics)
	defer watch.close()
	r := &replay{options: o, timetable: timetable, book: book, rush: partners.all[downInTheRush].receiver, start: start}
	if err := r.post(ctx, target); err != nil {
		return err
	}
	posted := time.Now()
	if err := partners.settle(ctx, o.patience); err != nil {
		return err
	}
	result := &outcome{start: start, posted: posted, last: partners.last(), repeats: r.repeats, book: book, partners: partners}
	if result.cost, err = target.cost(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(progress, "reading the feeds")
	if result.report, err = audit(ctx, book, partners, true); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	result.audited = time.Now()
	return result.print(out, ride.Topics)
}

// replay posts the events of a timetable.
type replay struct {
	*options

	timetable *timetable
	book      *tally.Book
	rush      interface{ SetDown(down bool) } // the receiver that is down in the rush
	start     time.Time                       // of the replay, by the real clock
	repeats   int64

	down  bool
	batch posting // positions gathered so far
	data  []byte
}

// post posts every event in order of time. The clock paces the hours that were asked for;
// what is left of their trips after them goes as fast as it can, for a bike that was lost
// comes back weeks later.
func (r *replay) post(ctx context.Context, target *target) error {
	poster, ctx := newPoster(ctx, target.client, r.book, r.options)
	err := r.each(ctx, poster)
	if err == nil {
		err = r.flush(ctx, poster)
	}
	poster.close()
	r.rush.SetDown(false)
	r.repeats = poster.repeats
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	poster.cancel(nil)
	return err
}

func (r *replay) each(ctx context.Context, poster *poster) error {
	day := ride.NewDay(r.timetable.trips, ride.NoRideZone)
	for event := range day.Events() {
		due, err := r.await(ctx, poster, event.At)
		if err != nil {
			return err
		}
		r.switchRush(event.At)
		r.data = day.AppendData(r.data[:0], r.book.Run(), &event)
		if !r.book.Plan(event.Topic, event.Number, r.data, due) {
			return fmt.Errorf("%s: more than %d events", event.Topic, tally.MaxNumber)
		}
		if event.Topic == ride.TopicPosition {
			err = r.addPosition(ctx, poster, &event, due)
		} else {
			err = poster.put(ctx, r.single(&event, due))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits until an event is due by the real clock, and gives that time. The positions
// gathered so far do not wait with it.
func (r *replay) await(ctx context.Context, poster *poster, at int64) (time.Time, error) {
	now := time.Now()
	if r.speed == 0 || at >= r.timetable.to.Unix() {
		return now, nil
	}
	due := r.start.Add(time.Duration(float64(time.Unix(at, 0).Sub(r.timetable.from)) / r.speed))
	if !now.Before(due) {
		return due, nil
	}
	if err := r.flush(ctx, poster); err != nil {
		return due, err
	}
	return due, pauseFor(ctx, time.Until(due))
}

// switchRush takes the receiver down when the rush begins and brings it back after it.
func (r *replay) switchRush(at int64) {
	down := at >= r.timetable.midnight.Add(rushFrom).Unix() && at < r.timetable.midnight.Add(rushTo).Unix()
	if down != r.down {
		r.down = down
		r.rush.SetDown(down)
	}
}

// addPosition gathers positions into one request of lines.
func (r *replay) addPosition(ctx context.Context, poster *poster, event *ride.Event, due time.Time) error {
	if r.batch.count == 0 {
		r.batch = posting{topic: event.Topic, first: event.Number, due: due, body: make([]byte, 0, len(r.batch.body))}
	}
	r.batch.body = append(r.envelope(r.batch.body, event, ""), '\n')
	r.batch.count++
	if r.batch.count < r.options.batch {
		return nil
	}
	return r.flush(ctx, poster)
}

// flush posts the positions gathered so far.
func (r *replay) flush(ctx context.Context, poster *poster) error {
	if r.batch.count == 0 {
		return nil
	}
	full := r.batch
	full.key = fmt.Sprintf("load-%08x-%d", r.book.Run(), full.first)
	r.batch.count = 0
	return poster.put(ctx, full)
}

// single makes the request of one event with an id of its own.
func (r *replay) single(event *ride.Event, due time.Time) posting {
	id := fmt.Sprintf("%08x-%s-%d", r.book.Run(), strings.ReplaceAll(event.Topic, ".", "-"), event.Number)
	return posting{topic: event.Topic, first: event.Number, count: 1, due: due, body: r.envelope(nil, event, id)}
}

// envelope appends the event as it is posted, with the data made before.
func (r *replay) envelope(b []byte, event *ride.Event, id string) []byte {
	b = append(b, '{')
	if id != "" {
		b = fmt.Appendf(b, `"id":"%s",`, id)
	}
	b = fmt.Appendf(b, `"topic":"%s","timestamp":"`, event.Topic)
	b = time.Unix(event.At, 0).UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `","data":`...)
	b = append(b, r.data...)
	return append(b, '}')
}
