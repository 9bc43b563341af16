// Command paper works out what a cluster costs before there is one: bytes on the wire for each
// event by fan-out and copies, shards that move when a member joins, and how evenly they lie. It
// places random subscriptions with the code that places them (cluster/placement) and encodes the
// very messages (cluster/link), so the table in cluster/DESIGN.md follows from the program.
package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"pannier/cluster/link"
	"pannier/cluster/placement"
	"pannier/cluster/protocol"
	"pannier/engine"
)

const (
	// eventBytes is a vehicle position with its envelope, as the journal has it.
	eventBytes = 700
	// draws are the events, and the clusters, that a figure is the mean of.
	draws = 50
	seed  = 1
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "paper:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // repeatable, not secret
	sizes := []int{3, 16, 64}
	var text strings.Builder
	text.WriteString("| members | copies | bytes on the wire for an event, fan-out 1 | 10 | 100 | 1,000 |\n|---|---|---|---|---|---|\n")
	for _, members := range sizes {
		for copies := 1; copies <= 3; copies++ {
			fmt.Fprintf(&text, "| %d | %d ", members, copies)
			for _, fanOut := range []int{1, 10, 100, 1000} {
				fmt.Fprintf(&text, "| %.0f ", wireBytes(random, members, copies, fanOut))
			}
			text.WriteString("|\n")
		}
	}
	text.WriteString("\n| members | shards a member owns: fewest, mean, most | moved when one joins | of them between members that stay |\n|---|---|---|---|\n")
	for _, members := range sizes {
		s := spread(random, members)
		fmt.Fprintf(&text, "| %d | %.0f, %.0f, %.0f | %.1f %% (1/%d is %.1f %%) | %d |\n",
			members, s.fewest, s.mean, s.most, s.moved, members+1, 100/float64(members+1), s.between)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// active makes members with ids as they are drawn, each at the place that it chose when it joined
// those before it.
func active(random *rand.Rand, n int) []placement.Member {
	members := make([]placement.Member, n)
	for i := range members {
		id := placement.MemberID(fmt.Sprintf("mem_%020x", random.Uint64()))
		members[i] = placement.Member{ID: id, Boot: 1, State: placement.Active, Salt: placement.ChooseSalt(members[:i], id)}
	}
	return members
}

// wireBytes is the mean of what one event takes on the wire, over all links: its copies, its way
// to the owners of its subscriptions, and the word that they are done.
func wireBytes(random *rand.Rand, members, copies, fanOut int) float64 {
	view := placement.NewView(active(random, members), copies)
	origin := view.Members()[0].ID
	total := 0
	for range draws {
		byOwner := make(map[placement.MemberID][]engine.SubscriptionID)
		for range fanOut {
			id := engine.SubscriptionID(fmt.Sprintf("sub_%020x", random.Uint64()))
			owner := view.Owner(engine.ShardOf(id))
			byOwner[owner] = append(byOwner[owner], id)
		}
		delete(byOwner, origin) // what it owns itself takes no wire
		total += (copies - 1) * (encoded(&protocol.Append{First: 1, Next: 2, Frames: make([]byte, eventBytes)}) + encoded(&protocol.Appended{Next: 2}))
		for _, ids := range byOwner {
			total += encoded(&protocol.Route{Sequence: 1, Event: make([]byte, eventBytes), Subscriptions: ids})
			for _, id := range ids {
				total += encoded(&protocol.Done{Subscription: id, Sequences: []uint64{1}})
			}
		}
	}
	return float64(total) / draws
}

// encoded is the size of a message among others: an envelope's own bytes are shared by many.
func encoded(m protocol.Message) int {
	return len(link.Encode(protocol.Envelope{Messages: []protocol.Message{m}})) - len(link.Encode(protocol.Envelope{}))
}

// evenness is how the shards of random clusters lie and move.
type evenness struct {
	fewest, mean, most, moved float64
	between                   int
}

// spread places the shards of random clusters, before and after one more member joins.
func spread(random *rand.Rand, members int) (s evenness) {
	s.fewest, s.mean = math.MaxFloat64, engine.Shards/float64(members)
	fewest, most, moved := 0.0, 0.0, 0
	for range draws {
		all := active(random, members+1)
		before, after := placement.NewView(all[:members], 1), placement.NewView(all, 1)
		low, high := math.MaxFloat64, 0.0
		for _, owned := range before.OwnedShards() {
			low, high = min(low, float64(owned)), max(high, float64(owned))
		}
		fewest, most = fewest+low, most+high
		for shard := range engine.Shards {
			was, is := before.Owner(shard), after.Owner(shard)
			if was == is {
				continue
			}
			moved++
			if is != all[members].ID {
				s.between++
			}
		}
	}
	s.fewest, s.most = fewest/draws, most/draws
	s.moved = 100 * float64(moved) / draws / engine.Shards
	return s
}
