package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pannier/bench/load/server"
)

// target is the server under load.
type target struct {
	client *server.Client
	meter  *server.Meter // nil: its process is not known
	child  *server.Child // nil: it was running before
	cancel context.CancelCauseFunc
}

// openTarget finds the server or starts one. The context it gives ends, with the reason,
// when a server of our own ends by itself.
func openTarget(ctx context.Context, o *options, progress io.Writer) (*target, context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &target{cancel: cancel}
	url, pid := o.url, o.pid
	if url == "" {
		child, err := server.Start(ctx, server.Options{Binary: o.binary}, progress)
		if err != nil {
			cancel(nil)
			return nil, ctx, err
		}
		t.child, url, pid = child, child.URL, child.PID
		go func() {
			<-child.Ended()
			cancel(errors.New("the server ended"))
		}()
	}
	var err error
	if t.client, err = server.NewClient(url, o.key, o.producers+2); err == nil && pid != 0 {
		t.meter, err = server.NewMeter(pid)
	}
	if err != nil {
		return nil, ctx, errors.Join(err, t.close())
	}
	_, _ = fmt.Fprintln(progress, "the server is at", url)
	return t, ctx, nil
}

// close stops what openTarget started.
func (t *target) close() error {
	defer t.cancel(nil)
	if t.meter != nil {
		t.meter.Close()
	}
	if t.client != nil {
		t.client.Close()
	}
	if t.child != nil {
		return t.child.Stop()
	}
	return nil
}

// cost is what the server has used so far.
type cost struct {
	server.Reading

	disk int64 // bytes of its folder; -1: not known
}

// cost reads the meter; nil when the process is not known.
func (t *target) cost() (*cost, error) {
	if t.meter == nil {
		return nil, nil //nolint:nilnil // there is nothing to say
	}
	reading, err := t.meter.Read()
	if err != nil {
		return nil, err
	}
	c := &cost{Reading: reading, disk: -1}
	if t.child != nil {
		if c.disk, err = t.child.DiskBytes(); err != nil {
			return nil, err
		}
	}
	return c, nil
}
