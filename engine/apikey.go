package engine

import "time"

// Role is what an API key may do.
type Role string

// The roles.
const (
	RoleAdmin      Role = "admin"      // everything
	RolePublisher  Role = "publisher"  // post events
	RoleSubscriber Role = "subscriber" // its tenant's subscriptions, deliveries, reconciliation
	RoleViewer     Role = "viewer"     // read
)

// roleRevoked marks what is left of a key that was revoked in a cluster: a member that was away
// must not bring the key back. It has no hash.
const roleRevoked Role = "revoked"

// APIKey is a key as it is stored: the key itself is shown once and kept only as a hash.
type APIKey struct {
	ID        string
	Hash      [32]byte // SHA-256: keys are random, so no slow hash is needed
	Role      Role
	Tenant    string // "": all tenants
	Name      string
	CreatedAt time.Time
}

// Revoked tells whether only the memory of the key is left.
func (k APIKey) Revoked() bool { return k.Role == roleRevoked }

// Caller is who makes a request, after authentication.
type Caller struct {
	Role   Role
	Tenant string // "": all tenants
	// KeyID is "" for the first admin key and in development mode.
	KeyID string
}

// Sees tells whether the caller may know of things that belong to tenant.
func (c Caller) Sees(tenant string) bool { return c.Tenant == "" || c.Tenant == tenant }
