package match

import "slices"

// Index finds the handles whose patterns match a topic. The zero value is empty. Reads may
// be concurrent with each other, not with a change.
type Index struct {
	exact  map[string]holders // topic, or "" for Any
	prefix map[string]holders // "trip" of "trip.*"
}

// holders keeps the handles of a pattern by tenant, sorted, so that a change is a binary
// search and a copy, and a match a merge. Most patterns have one tenant, and there may be
// hundreds of thousands of them: the first needs no map.
type holders struct {
	tenant string // of first
	first  []uint32
	others map[string][]uint32
}

func (h holders) get(tenant string) []uint32 {
	if tenant == h.tenant {
		return h.first
	}
	return h.others[tenant]
}

func (h *holders) set(tenant string, handles []uint32) {
	switch {
	case tenant == h.tenant:
		h.first = handles
	case len(handles) == 0:
		delete(h.others, tenant)
	default:
		if h.others == nil {
			h.others = make(map[string][]uint32)
		}
		h.others[tenant] = handles
	}
}

func (h holders) empty() bool { return len(h.first) == 0 && len(h.others) == 0 }

// place finds the map and the key of a pattern.
func (x *Index) place(p Pattern) (in *map[string]holders, key string) {
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
		*in = make(map[string]holders)
	}
	h, known := (*in)[key]
	if !known {
		h = holders{tenant: tenant}
	}
	handles := h.get(tenant)
	if at, found := slices.BinarySearch(handles, handle); !found {
		h.set(tenant, slices.Insert(handles, at, handle))
		(*in)[key] = h
	}
}

// Remove undoes Add.
func (x *Index) Remove(tenant string, p Pattern, handle uint32) {
	in, key := x.place(p)
	h := (*in)[key]
	handles := h.get(tenant)
	at, found := slices.BinarySearch(handles, handle)
	if !found {
		return
	}
	h.set(tenant, slices.Delete(handles, at, at+1))
	if h.empty() {
		delete(*in, key)
	} else {
		(*in)[key] = h
	}
}

// Match appends to dst, sorted and each once, the handles whose patterns match topic; an
// empty tenant reaches the handles of all tenants. It looks at the topic, at Any and at
// each prefix of the topic, whatever the number of patterns.
func (x *Index) Match(topic, tenant string, dst []uint32) []uint32 {
	start, parts := len(dst), 0
	add := func(h holders) {
		switch {
		case tenant != "":
			dst, parts = appendPart(dst, h.get(tenant), parts)
		default:
			dst, parts = appendPart(dst, h.first, parts)
			for _, handles := range h.others {
				dst, parts = appendPart(dst, handles, parts)
			}
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

// appendPart counts the sorted parts that a match is put together from.
func appendPart(dst, handles []uint32, parts int) ([]uint32, int) {
	if len(handles) == 0 {
		return dst, parts
	}
	return append(dst, handles...), parts + 1
}
