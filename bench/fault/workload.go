package fault

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"pannier/bench/history"
)

// publishers is how many producers post at once, each one request after the other.
const publishers = 4

// usualTimeout is long enough for every answer that comes at all.
const usualTimeout = 10 * time.Second

// The topics; vehicle.position has a lane of its own.
const (
	topicCreated    = "trip.created"
	topicTerminated = "trip.terminated"
	topicCyclist    = "cyclist.created"
	topicForbidden  = "vehicule.position.forbidden"
	topicPosition   = "vehicle.position"
	topicBurst      = "burst.load"
)

var (
	topics  = []string{topicCreated, topicTerminated, topicCyclist, topicForbidden, topicPosition, topicPosition}
	tenants = []string{"", "", "default", "nantes"}
)

// workload is everything that is done to the server but killing it.
type workload struct {
	log    *history.Log
	client *client
	sites  *sites
	seed   uint64
	ops    atomic.Uint64
	admin  *admin
}

// opID names an operation.
func (w *workload) opID(proc string) string {
	return proc + "-op" + strconv.FormatUint(w.ops.Add(1), 10)
}

// standing are the subscriptions that nobody changes: what they must get is certain for
// every event.
func standing() []asked {
	ask := func(name, site, tenant string, retries int, topics ...string) asked {
		return asked{
			name: name, site: site, inFlight: 64,
			Settings: history.Settings{
				Topics: topics, Tenant: tenant, Enabled: true, MaxRetries: retries, MinDelay: time.Second, Timeout: usualTimeout,
			},
		}
	}
	narrow := ask("narrow", siteSlow, "default", 20, topicBurst, topicPosition)
	narrow.inFlight = 40 // it falls behind at every burst
	hang := ask("hang", siteHang, "nantes", 20, topicCreated, topicForbidden)
	hang.Timeout = hangTimeout
	return []asked{
		ask("all", siteGood, "default", 20, "*"),
		ask("trips", siteFlaky, "default", 20, "trip.*"),
		ask("lane", siteGood, "nantes", 20, topicPosition),
		ask("slow", siteSlow, "nantes", 20, "cyclist.*", topicTerminated),
		ask("poison", sitePoison, "default", 2, topicCyclist, topicForbidden),
		ask("outage", siteOutage, "default", 20, topicCreated, "vehicule.*"),
		narrow, hang,
	}
}

// prepare makes the standing subscriptions.
func (w *workload) prepare(ctx context.Context) error {
	w.admin = &admin{workload: w, random: newRandom(w.seed, "admin")}
	for _, s := range standing() {
		if _, err := w.admin.create(ctx, s); err != nil {
			return fmt.Errorf("make subscription %s: %w", s.name, err)
		}
	}
	return nil
}

// parts are what runs at once until its context ends.
func (w *workload) parts() []func(context.Context) {
	parts := []func(context.Context){w.admin.work}
	for n := range publishers {
		parts = append(parts, newPublisher(w, n).work)
	}
	return parts
}

// enableAll lets everything that is pending go on.
func (w *workload) enableAll(ctx context.Context) { w.admin.enableAll(ctx) }
