package members

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"pannier/cluster/placement"
)

// maxSeen bounds the members of which addresses are kept while they are away. It is far
// above the size of any cluster; each has about 100 bytes.
const maxSeen = 1024

// roster is our own copy of who lives, made from memberlist's callbacks: memberlist's own list
// has pointers into its state. Safe for concurrent use.
type roster struct {
	mu    sync.Mutex
	self  meta
	alive map[placement.MemberID]placement.Member // one life of each
	seen  map[placement.MemberID]sighting         // those alive, and those that were

	changed chan struct{} // has one element when alive may have changed
}

// sighting is where the newest life of a member was seen.
type sighting struct {
	boot    uint64
	address string
}

func newRoster(self meta) *roster {
	return &roster{
		self:    self,
		alive:   map[placement.MemberID]placement.Member{self.ID: self.Member},
		seen:    make(map[placement.MemberID]sighting),
		changed: make(chan struct{}, 1),
	}
}

// put notes what a life of a member says of itself. A life that is older than one that was
// seen is over, whatever is still said of it.
func (r *roster) put(member placement.Member, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.seen[member.ID]
	if member.Boot < last.boot {
		return
	}
	if !known {
		r.makeRoom()
	}
	r.seen[member.ID] = sighting{member.Boot, address}
	r.alive[member.ID] = member
	r.kick()
}

// makeRoom forgets a member that is away when many are remembered.
func (r *roster) makeRoom() {
	if len(r.seen) < maxSeen {
		return
	}
	for id := range r.seen {
		if _, alive := r.alive[id]; !alive {
			delete(r.seen, id)
			return
		}
	}
}

// remove notes the end of a life. Our own is not over while we can say so.
func (r *roster) remove(member placement.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, alive := r.alive[member.ID]
	own := member.ID == r.self.ID && member.Boot == r.self.Boot
	if alive && last.Boot == member.Boot && !own {
		delete(r.alive, member.ID)
		r.kick()
	}
}

// kick never blocks: the callbacks run under memberlist's lock.
func (r *roster) kick() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// change changes what this member says of itself. memberlist's callback follows, and puts it
// among the living.
func (r *roster) change(self func(*meta)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	self(&r.self)
}

func (r *roster) own() meta {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.self
}

// list is the living in order of ID.
func (r *roster) list() []placement.Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.alive), func(a, b placement.Member) int { return cmp.Compare(a.ID, b.ID) })
}

// addresses are those of the others, wherever they are now.
func (r *roster) addresses() map[placement.MemberID]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	addresses := make(map[placement.MemberID]string, len(r.seen))
	for id, s := range r.seen {
		if id != r.self.ID {
			addresses[id] = s.address
		}
	}
	return addresses
}
