package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"
)

// serveCommand runs a server until it is told to stop.
type serveCommand struct {
	Config `embed:""`
}

// BeforeResolve reads the configuration file: kong calls it between the environment and
// the defaults.
func (s *serveCommand) BeforeResolve(ctx *kong.Context) error { return s.loadFile(ctx) }

// Run serves until ctx ends.
func (s *serveCommand) Run(ctx context.Context, c console) error {
	if err := s.check(os.Getenv); err != nil {
		return err
	}
	return runServe(ctx, s.Config, c.err)
}
