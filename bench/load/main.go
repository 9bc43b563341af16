// Command load puts a Pannier server under load from outside and says what it did: a
// synthetic load in an open loop, or a day of bike trips with receivers of different tastes,
// one of which is down for the morning rush. Then it compares what was posted with what
// arrived and with what the server's reconciliation feed says, and fails on any difference.
//
//	go run ./bench/load --rate 5000 --duration 30s
//	go run ./bench/load --trips trips.csv.gz --stations stations.csv --speed max
//	go run ./bench/load --synthetic 1 --speed max
//
// Without --url or PANNIER_URL it builds and starts a server of its own on loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errMismatch is told by the report itself.
var errMismatch = errors.New("what was posted and what arrived do not agree")

// run gives the exit status: 0, 1 when something failed or does not agree, 2 for wrong
// flags.
func run(arguments []string, out, progress io.Writer) int {
	o, err := parseOptions(arguments, os.Getenv, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(progress, "load:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	measure := loadOpenLoop
	if o.replays() {
		measure = replayTrips
	}
	if err := measure(ctx, o, out, progress); err != nil {
		_, _ = fmt.Fprintln(progress, "load:", err)
		return 1
	}
	return 0
}
