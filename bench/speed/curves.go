package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// The points of the curves.
var (
	loads   = []float64{0.1, 0.25, 0.5, 0.75, 0.9} // of what the server delivers at most
	fanouts = []int{1, 10, 100, 1000}
)

// measureFanouts measures all contenders at every fan-out.
func measureFanouts(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) (err error) {
	to, err := startReceiver(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	curve := series{title: s.title, x: "fan-out", y: "delivered/s", logarithmic: true, lines: make([]line, len(contenders))}
	for _, fanout := range fanouts {
		l := deliveryLoad(o.deliveries/fanout, to, func(int64) string { return topic })
		results, err := inTurns(s, contenders, o, progress, func(c contender) (figures, error) {
			return once(ctx, c, to, fanout, l)
		})
		if err != nil {
			return err
		}
		curve.add(float64(fanout), contenders, results, func(f figures) float64 { return f.delivered })
	}
	return curve.show(out, o.plots, s.name)
}

// add adds a point to every line: the median of the runs.
func (s *series) add(x float64, contenders []contender, results [][]figures, of func(figures) float64) {
	s.at = append(s.at, x)
	for i, c := range contenders {
		s.lines[i].name = c.name
		s.lines[i].values = append(s.lines[i].values, median(each(results[i], of)))
	}
}

// measureLoads measures the latency of the server and of the straight line at parts of the
// rate that the server reaches.
func measureLoads(ctx context.Context, s scenario, contenders []contender, o *options, out, progress io.Writer) (err error) {
	to, err := startReceiver(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	most, err := mostDelivered(ctx, contenders[0], to, o)
	if err != nil {
		return err
	}
	list := accepting(contenders)
	median := series{lines: make([]line, len(list))}
	tail := series{lines: make([]line, len(list))}
	for _, part := range loads {
		results, err := inTurns(s, list, o, progress, func(c contender) (figures, error) {
			return steadily(ctx, c, to, pace{topic: topic, rate: part * most, length: o.length})
		})
		if err != nil {
			return err
		}
		median.add(part*most, list, results, func(f figures) float64 { return f.latency.p50 })
		tail.add(part*most, list, results, func(f figures) float64 { return f.latency.p99 })
	}
	curve := series{title: s.title, x: "events/s", y: "ms", at: median.at}
	for i := range list {
		curve.lines = append(curve.lines,
			line{list[i].name + ", p50", median.lines[i].values}, line{list[i].name + ", p99", tail.lines[i].values})
	}
	return curve.show(out, o.plots, s.name)
}

// mostDelivered is what a contender delivers with one subscription, or what the operator
// says.
func mostDelivered(ctx context.Context, c contender, to *receiver, o *options) (float64, error) {
	if o.rate > 0 {
		return 2 * o.rate, nil
	}
	most, err := once(ctx, c, to, 1, deliveryLoad(o.deliveries, to, func(int64) string { return topic }))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return most.delivered, nil
}
