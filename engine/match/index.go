package match

import "slices"

// Index finds the handles whose patterns match a topic. The zero value is empty. Reads may
// be concurrent with each other, not with a change.
type Index struct {
	exact  map[string]handlesByTenant // topic, or "" for Any
	prefix map[string]handlesByTenant // "trip" of "trip.*"
}

// handlesByTenant keeps the handles of each tenant sorted, so that a change is a binary
// search and a copy, and a match a merge.
type handlesByTenant map[string][]uint32

// place finds the map and the key of a pattern.
func (x *Index) place(p Pattern) (in *map[string]handlesByTenant, key string) {
	switch n := len(p); {
	case p == Any:
		return &x.exact, ""
	case n > 2 && p[n-2:] == ".*":
		return &x.prefix, string(p[:n-2])
	default:
		return &x.exact, string(p)
	}
}

// Add registers handle for pattern p of tenant. Adding it again changes nothing.
func (x *Index) Add(tenant string, p Pattern, handle uint32) {
	in, key := x.place(p)
	if *in == nil {
		*in = make(map[string]handlesByTenant)
	}
	tenants := (*in)[key]
	if tenants == nil {
		tenants = make(handlesByTenant, 1)
		(*in)[key] = tenants
	}
	handles := tenants[tenant]
	if at, found := slices.BinarySearch(handles, handle); !found {
		tenants[tenant] = slices.Insert(handles, at, handle)
	}
}

// Remove undoes Add.
func (x *Index) Remove(tenant string, p Pattern, handle uint32) {
	in, key := x.place(p)
	tenants := (*in)[key]
	handles := tenants[tenant]
	at, found := slices.BinarySearch(handles, handle)
	if !found {
		return
	}
	if handles = slices.Delete(handles, at, at+1); len(handles) > 0 {
		tenants[tenant] = handles
		return
	}
	delete(tenants, tenant)
	if len(tenants) == 0 {
		delete(*in, key)
	}
}

// Match appends to dst, sorted and each once, the handles whose patterns match topic; an
// empty tenant reaches the handles of all tenants. It looks at the topic, at Any and at
// each prefix of the topic, whatever the number of patterns.
func (x *Index) Match(topic, tenant string, dst []uint32) []uint32 {
	start, parts := len(dst), 0
	add := func(tenants handlesByTenant) {
		if tenant != "" {
			if handles := tenants[tenant]; len(handles) > 0 {
				dst = append(dst, handles...)
				parts++
			}
			return
		}
		for _, handles := range tenants {
			dst = append(dst, handles...)
			parts++
		}
	}
	add(x.exact[""])
	add(x.exact[topic])
	for i := range len(topic) {
		if topic[i] == '.' {
			add(x.prefix[topic[:i]])
		}
	}
	if parts > 1 {
		slices.Sort(dst[start:])
		dst = dst[:start+len(slices.Compact(dst[start:]))]
	}
	return dst
}
