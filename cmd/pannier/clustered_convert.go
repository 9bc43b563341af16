package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pannier/engine"
)

// convertedFile says that a folder is that of a member of a cluster.
const convertedFile = "converted"

// convert makes the folder of a server that ran alone one of a member, once: the journals of its
// earlier lives are copies by now. Cut short it is done again.
func (c *clustered) convert(ctx context.Context, folder string, snapshot *engine.Snapshot) error {
	path := filepath.Join(folder, convertedFile)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, queue := range snapshot.Queues {
		if err := c.carryEvents(ctx, queue.Subscription); err != nil {
			return fmt.Errorf("carry the events of retry records: %w", err)
		}
	}
	// What it has to retry gets the stamps that members compare.
	if err := c.member.state.RegisterAll(ctx, engine.StampAt(time.Now().UnixMilli())); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

// carryEvents puts the events into a subscription's retry records: whoever owns it in the cluster
// may not have the journal.
func (c *clustered) carryEvents(ctx context.Context, id engine.SubscriptionID) error {
	const page = 500
	for after := (engine.DeliveryKey{}); ; {
		records, err := c.member.state.RetryRecords(ctx, id, after, page)
		if err != nil {
			return err
		}
		for _, record := range records {
			after = record.Key
			if record.Body = c.eventOf(record); record.Body == nil {
				continue
			}
			if err := c.member.state.Write([]engine.Write{engine.PutRetryRecord{RetryRecord: record}}, nil); err != nil {
				return err
			}
		}
		if err := c.member.writeAndWait(); err != nil {
			return err
		}
		if len(records) < page {
			return nil
		}
	}
}

// eventOf finds the event of a retry record that does not carry it; nil: it does, or the event is
// not there.
func (c *clustered) eventOf(record engine.RetryRecord) *engine.Event {
	if record.Body != nil {
		return nil
	}
	journal, err := c.copies.Journal(record.Key.Event.Journal)
	if err != nil {
		return nil
	}
	found, err := journal.Get(record.Key.Event.Sequence)
	if err != nil {
		return nil
	}
	return found.Event
}
