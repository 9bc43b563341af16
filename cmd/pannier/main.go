// Command pannier is the webhook delivery engine and its command line: the server, a
// demonstration of it, a local receiver, and the verbs that speak to a server's REST API.
//
// The rules of the command line: results go to standard output, everything else to
// standard error; messages begin with "pannier: ", in lower case and without a full stop;
// the exit status is 0, 1 (it failed) or 2 (it was asked wrongly). Wiring of the engine's
// parts is here and nowhere else; decisions about deliveries are not.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// grammar is everything that can be asked of the command line.
type grammar struct {
	Serve         serveCommand         `cmd:"" help:"Run a server."`
	Demo          demoCommand          `cmd:"" help:"See it work: an engine, a bike fleet and receivers that misbehave; with --members a cluster."`
	Listen        listenCommand        `cmd:"" help:"Run a local receiver that prints and verifies what arrives."`
	Send          sendCommand          `cmd:"" help:"Post one event."`
	Subscriptions subscriptionsCommand `cmd:"" help:"Manage subscriptions."`
	Events        eventsCommand        `cmd:"" help:"Look at accepted events."`
	Deliveries    deliveriesCommand    `cmd:"" help:"Look at deliveries and retry them."`
	Keys          keysCommand          `cmd:"" help:"Manage API keys."`
	Cluster       clusterCommand       `cmd:"" help:"Show the members of the cluster."`
	Top           topCommand           `cmd:"" help:"Watch totals and lanes."`
	Version       versionCommand       `cmd:"" help:"Print the version."`
}

const description = "Pannier delivers webhooks: each event accepted reaches every matching endpoint at least once or becomes a dead letter."

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := run(ctx, os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run parses the arguments, runs the command they name and gives the exit status.
func run(ctx context.Context, args []string, c console) int {
	parsed, err := newParser(ctx, new(grammar), c).Parse(args)
	if err != nil {
		return c.fail(notUnderstood(err))
	}
	return c.fail(parsed.Run())
}

// newParser builds the parser that fills g in.
func newParser(ctx context.Context, g *grammar, c console) *kong.Kong {
	parser, err := kong.New(
		g, kong.Name("pannier"), kong.Description(description), kong.Writers(c.out, c.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(c), kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(fmt.Sprintf("command line grammar: %v", err)) // the grammar is constant: it is wrong or right for ever
	}
	return parser
}

// notUnderstood marks an error of the parser and says where to read on. What is wrong in a
// file is a usageError already: the help would not help.
func notUnderstood(err error) error {
	if _, told := errors.AsType[usageError](err); told {
		return err
	}
	command := []string{"pannier"}
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		for _, step := range parse.Context.Path {
			if step.Command != nil {
				command = append(command, step.Command.Name)
			}
		}
	}
	return usageError{fmt.Errorf("%w; %s --help tells more", err, strings.Join(command, " "))}
}

// usageError marks an error in how the command was asked: exit status 2.
type usageError struct{ error }

// Unwrap gives the cause to errors.Is and errors.As.
func (u usageError) Unwrap() error { return u.error }

// usagef builds a usageError.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// fail reports err on standard error and gives the exit status it stands for.
func (c console) fail(err error) int {
	if err == nil {
		return exitDone
	}
	c.note(message(err))
	if _, usage := errors.AsType[usageError](err); usage {
		return exitUsage
	}
	return exitFailed
}

// message is the text of err: one line, but for an answer of the server, which has one
// more for each wrong field.
func message(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Error()
	}
	return strings.Join(strings.Fields(printable(err.Error())), " ")
}
