package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	"pannier/cluster/placement"

	"github.com/hashicorp/memberlist"
)

// With these a member that is killed is found dead after about 3 seconds (measured with three
// and with five members); memberlist's defaults for a local network take 8.
const (
	// DefaultProbe is how often a member asks another one whether it lives.
	DefaultProbe = 500 * time.Millisecond
	// suspicionMult is how many probes long a suspect has time to speak up.
	suspicionMult = 4
	// suspicionMaxMult is how many times longer it has while few others suspect it.
	suspicionMaxMult = 3
	// exchangeEvery is how often a member exchanges its whole list with another one: it bounds
	// how long lost gossip matters.
	exchangeEvery = 10 * time.Second
	// gossipToDead is how long the dead are told so; who lives after all objects.
	gossipToDead = 30 * time.Second
	// connectTimeout bounds a dial, and then again the exchange over it.
	connectTimeout = 2 * time.Second
)

// keyBytes is the size of the cluster's key, which makes the gossip AES-256-GCM.
const keyBytes = 32

// everyAddress binds both families, and has memberlist look for a private address to advertise;
// for the IPv6 one it would advertise "::".
const everyAddress = "0.0.0.0"

// Options are what a membership is made from.
type Options struct {
	// Self is this life of this member, with its state at the start.
	Self placement.Member
	// Cluster names the cluster: members of clusters with other names are not heard. Up to
	// 255 bytes.
	Cluster string
	// Key encrypts and authenticates all gossip: 32 bytes, the same on all members.
	Key []byte
	// Bind is the host:port of the gossip, over UDP and TCP. Without host it is every address
	// of this machine, with port 0 a free port.
	Bind string
	// Advertise is the host or host:port at which others reach Bind; "" is Bind itself or, when
	// that is every address, a private address of this machine.
	Advertise string
	// Seeds are host:port of the gossip of members to begin with. A name may stand for many.
	Seeds []string
	// Format is the version of what members say to each other and Shards the number of shards:
	// members that differ in one refuse each other.
	Format uint8
	Shards int
	// Probe is how often this member asks another one whether it lives, and half of it the time
	// to answer; 0 is DefaultProbe.
	Probe time.Duration
	// Logger takes what happens, and memberlist's own lines; nil is slog.Default().
	Logger *slog.Logger
	// Changed, if set, is given the list (see List) when it is another one than before, at first
	// soon after the start. It is called by one goroutine, so a slow one is told less often. The
	// list is its own.
	Changed func([]placement.Member)

	transport memberlist.Transport // nil is real sockets; tests cut links
}

func (o Options) withDefaults() Options {
	o.Probe = cmp.Or(o.Probe, DefaultProbe)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

// self is what this member says of itself at the start, as the others will read it.
func (o Options) self() (meta, error) {
	if o.Shards < 1 || o.Shards > math.MaxUint32 {
		return meta{}, fmt.Errorf("%d shards make no cluster", o.Shards)
	}
	self := meta{Member: o.Self, shards: uint32(o.Shards), format: o.Format}
	if err := self.check(); err != nil {
		return meta{}, fmt.Errorf("member %q: %w", o.Self.ID, err)
	}
	self.StartedAt = time.UnixMilli(self.StartedAt.UnixMilli()).UTC()
	return self, nil
}

func (o Options) config(ctx, life context.Context, name string) (*memberlist.Config, error) {
	if len(o.Key) != keyBytes {
		return nil, fmt.Errorf("the key has %d bytes instead of %d", len(o.Key), keyBytes)
	}
	if o.Probe < 0 {
		return nil, errors.New("the time between probes is negative")
	}
	if len(o.Cluster) > memberlist.LabelMaxSize {
		return nil, fmt.Errorf("the cluster's name has %d bytes, the limit is %d", len(o.Cluster), memberlist.LabelMaxSize)
	}
	config := memberlist.DefaultLANConfig()
	config.Name, config.Label, config.SecretKey = name, o.Cluster, o.Key
	config.Logger, config.Transport = newLog(life, o.Logger), o.transport
	config.ProbeInterval, config.ProbeTimeout = o.Probe, o.Probe/2
	config.SuspicionMult, config.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	config.PushPullInterval, config.GossipToTheDeadTime = exchangeEvery, gossipToDead
	config.TCPTimeout = connectTimeout

	bind, err := resolve(ctx, o.Bind)
	if err != nil {
		return nil, fmt.Errorf("bind address: %w", err)
	}
	config.BindAddr, config.BindPort = bind[0].Addr().String(), int(bind[0].Port())
	config.AdvertisePort = config.BindPort
	if bind[0].Addr().IsUnspecified() {
		config.BindAddr = everyAddress
	}
	if o.Advertise == "" {
		return config, nil
	}
	address := o.Advertise
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "0")
	}
	advertise, err := resolve(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("advertised address: %w", err)
	}
	config.AdvertiseAddr = advertise[0].Addr().String()
	config.AdvertisePort = cmp.Or(int(advertise[0].Port()), config.BindPort)
	return config, nil
}
