package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"sync"
)

// maxAPIKeys bounds the keyring in memory.
const maxAPIKeys = 10_000

// keyring holds the API keys by hash. Safe for concurrent use.
type keyring struct {
	mu     sync.RWMutex
	admin  [32]byte
	locked bool // an admin key was given
	byHash map[[32]byte]APIKey
	// revoked are the ids of keys that were revoked in a cluster.
	revoked map[string]APIKey
}

func newKeyring(admin string, keys []APIKey) *keyring {
	k := &keyring{
		byHash: make(map[[32]byte]APIKey, len(keys)), revoked: make(map[string]APIKey), locked: admin != "" || len(keys) > 0,
	}
	if admin != "" {
		k.admin = sha256.Sum256([]byte(admin))
	}
	for _, key := range keys {
		k.put(key)
	}
	return k
}

// put takes a key in, or its end, which nothing undoes; it tells whether that is news.
func (k *keyring) put(key APIKey) bool {
	if _, over := k.revoked[key.ID]; over {
		return false
	}
	if !key.Revoked() {
		_, known := k.byHash[key.Hash]
		k.byHash[key.Hash] = key
		return !known
	}
	k.revoked[key.ID] = key
	for hash, other := range k.byHash {
		if other.ID == key.ID {
			delete(k.byHash, hash)
		}
	}
	return true
}

// AllKeys lists every key, the memory of revoked ones included, by id.
func (e *Engine) AllKeys() []APIKey {
	e.keys.mu.RLock()
	defer e.keys.mu.RUnlock()
	keys := slices.Concat(slices.Collect(maps.Values(e.keys.byHash)), slices.Collect(maps.Values(e.keys.revoked)))
	slices.SortFunc(keys, func(a, b APIKey) int { return cmp.Compare(a.ID, b.ID) })
	return keys
}

// MergeKeys takes in keys that other members have, or that they know to be revoked. Keys are made
// once and revoked once, so the order in which members hear of them does not matter. Errors:
// unavailable.
func (e *Engine) MergeKeys(keys []APIKey) error {
	var news []Write
	e.keys.mu.Lock()
	for _, key := range keys {
		if e.keys.put(key) {
			news = append(news, PutAPIKey{APIKey: key})
		}
	}
	e.keys.mu.Unlock()
	if len(news) == 0 {
		return nil
	}
	return e.write(news...)
}

// DevelopmentMode tells that no key is configured: every caller is an admin, and the server
// listens on loopback only.
func (e *Engine) DevelopmentMode() bool {
	e.keys.mu.RLock()
	defer e.keys.mu.RUnlock()
	return !e.keys.locked
}

// Authenticate finds who holds a key. Errors: unauthorized.
func (e *Engine) Authenticate(_ context.Context, key string) (Caller, error) {
	// The lookup is by hash, so its time says nothing about a stored key.
	hash := sha256.Sum256([]byte(key))
	e.keys.mu.RLock()
	defer e.keys.mu.RUnlock()
	if !e.keys.locked {
		return Caller{Role: RoleAdmin}, nil
	}
	if key != "" && e.keys.admin == hash {
		return Caller{Role: RoleAdmin}, nil
	}
	if found, ok := e.keys.byHash[hash]; ok {
		return Caller{Role: found.Role, Tenant: found.Tenant, KeyID: found.ID}, nil
	}
	return Caller{}, Errorf(CodeUnauthorized, "a valid API key is needed")
}

// CreateAPIKey makes a key; its text is known only to the caller. Errors: invalid,
// forbidden, unavailable.
func (e *Engine) CreateAPIKey(ctx context.Context, caller Caller, role Role, tenant, name string) (NewAPIKey, error) {
	if caller.Role != RoleAdmin {
		return NewAPIKey{}, Errorf(CodeForbidden, "only an admin makes keys")
	}
	if e.DevelopmentMode() {
		return NewAPIKey{}, Errorf(CodeConflict, "the server runs without an admin key: start it with one first")
	}
	switch role {
	case RoleAdmin, RolePublisher, RoleSubscriber, RoleViewer:
	default:
		return NewAPIKey{}, Invalid("/role", "must be admin, publisher, subscriber or viewer")
	}
	if role == RoleSubscriber && tenant == "" {
		tenant = DefaultTenant
	}
	if err := checkTenant(tenant); err != nil {
		return NewAPIKey{}, err
	}
	if len(name) > MaxDescriptionBytes {
		return NewAPIKey{}, Invalid("/name", "must have at most %d bytes", MaxDescriptionBytes)
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	text := "pnr_" + base64.RawURLEncoding.EncodeToString(raw[:])
	key := APIKey{
		ID: NewID("key_"), Hash: sha256.Sum256([]byte(text)), Role: role, Tenant: tenant, Name: name, CreatedAt: e.clock(),
	}
	e.keys.mu.Lock()
	full := len(e.keys.byHash) >= maxAPIKeys
	e.keys.mu.Unlock()
	if full {
		return NewAPIKey{}, Errorf(CodeConflict, "there are %d keys already", maxAPIKeys)
	}
	if err := e.MergeKeys([]APIKey{key}); err != nil {
		return NewAPIKey{}, err
	}
	if e.cluster != nil {
		e.cluster.ShareKey(ctx, key)
	}
	return NewAPIKey{APIKey: key, Text: text}, nil
}

// APIKeys lists the keys by id. Errors: forbidden, invalid.
func (e *Engine) APIKeys(_ context.Context, caller Caller, page Page) (Listed[APIKey], error) {
	if caller.Role != RoleAdmin {
		return Listed[APIKey]{}, Errorf(CodeForbidden, "only an admin sees keys")
	}
	after, err := parseCursor("keys", page.Cursor)
	if err != nil {
		return Listed[APIKey]{}, err
	}
	e.keys.mu.RLock()
	keys := make([]APIKey, 0, len(e.keys.byHash))
	for _, key := range e.keys.byHash {
		if key.ID > after.id {
			keys = append(keys, key)
		}
	}
	e.keys.mu.RUnlock()
	slices.SortFunc(keys, func(a, b APIKey) int { return cmp.Compare(a.ID, b.ID) })
	listed := Listed[APIKey]{Items: keys}
	if len(keys) > page.Limit {
		listed.Items = keys[:page.Limit]
		listed.Next = position{id: keys[page.Limit-1].ID}.cursor("keys")
	}
	return listed, nil
}

// RevokeAPIKey ends a key at once. Errors: forbidden, not_found, unavailable.
func (e *Engine) RevokeAPIKey(ctx context.Context, caller Caller, id string) error {
	if caller.Role != RoleAdmin {
		return Errorf(CodeForbidden, "only an admin revokes keys")
	}
	e.keys.mu.RLock()
	var found *APIKey
	for _, key := range e.keys.byHash {
		if key.ID == id {
			found = &key
			break
		}
	}
	e.keys.mu.RUnlock()
	if found == nil {
		return Errorf(CodeNotFound, "no such key")
	}
	if e.cluster != nil {
		end := APIKey{ID: id, Role: roleRevoked, CreatedAt: e.clock()}
		err := e.MergeKeys([]APIKey{end})
		e.cluster.ShareKey(ctx, end)
		return err
	}
	if err := e.write(DropAPIKey{ID: id}); err != nil {
		return err
	}
	e.keys.mu.Lock()
	delete(e.keys.byHash, found.Hash)
	e.keys.mu.Unlock()
	return nil
}

// write makes changes durable before it returns.
func (e *Engine) write(changes ...Write) error {
	done := make(chan struct{})
	if err := e.state.Write(changes, func() { close(done) }); err != nil {
		return err
	}
	<-done
	return nil
}
