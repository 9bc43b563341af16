package api

import (
	"context"
	"net/http"
	"slices"

	"pannier/engine"
)

// maxKeyName bounds the name of an API key.
const maxKeyName = 128

// KeyFields are the body that makes an API key.
type KeyFields struct {
	Role   engine.Role `json:"role" enum:"admin,publisher,subscriber,viewer"`
	Tenant *string     `json:"tenant,omitempty" nullable:"false" maxLength:"64" doc:"Binds the key to a tenant; absent: all tenants."`
	Name   string      `json:"name,omitempty" maxLength:"128" doc:"For people."`
}

// KeyAnswer is an API key as it is answered.
type KeyAnswer struct {
	ID        string      `json:"id"`
	Key       string      `json:"key,omitempty" doc:"The key itself, shown at creation only."`
	Role      engine.Role `json:"role"`
	Tenant    *string     `json:"tenant" doc:"Null is bound to no tenant."`
	Name      string      `json:"name"`
	CreatedAt instant     `json:"created_at"`
}

const keysPath = "/v1/keys"

func (s *Server) addKeys() {
	create := operation(tagKeys, http.MethodPost, keysPath, "create-key", "Make an API key; the only answer that shows it")
	create.DefaultStatus = http.StatusCreated
	create.RequestBody = bodyOf[KeyFields](s.huma.OpenAPI().Components.Schemas, true,
		map[string]any{"role": "publisher", "name": "fleet backend"}, jsonType)
	handleBody(s, create, admins, s.createKey)
	handle(s, operation(tagKeys, http.MethodGet, keysPath, "list-keys", "List API keys, without the keys"), admins, s.listKeys)
	handle(s, operation(tagKeys, http.MethodDelete, keysPath+"/{id}", "revoke-key", "Revoke an API key"), admins, s.revokeKey)
}

func (s *Server) createKey(ctx context.Context, caller engine.Caller, _ *nothing, body posted[KeyFields]) (*struct{ Body KeyAnswer }, error) {
	fields := body.value
	roles := []engine.Role{engine.RoleAdmin, engine.RolePublisher, engine.RoleSubscriber, engine.RoleViewer}
	switch {
	case !slices.Contains(roles, fields.Role):
		return nil, engine.Invalid("/role", "must be admin, publisher, subscriber or viewer")
	case fields.Tenant != nil && !isTenant(*fields.Tenant): // "" would be a key to all tenants
		return nil, engine.Invalid("/tenant", wrongTenant)
	case len(fields.Name) > maxKeyName:
		return nil, engine.Invalid("/name", "may have at most %d bytes", maxKeyName)
	}
	tenant := ""
	if fields.Tenant != nil {
		tenant = *fields.Tenant
	}
	made, err := s.engine.CreateAPIKey(ctx, caller, fields.Role, tenant, fields.Name)
	if err != nil {
		return nil, err
	}
	answer := encodeKey(made.APIKey)
	answer.Key = made.Text
	return &struct{ Body KeyAnswer }{answer}, nil
}

func (s *Server) listKeys(ctx context.Context, caller engine.Caller, in *struct{ Paging }) (*listAnswer[KeyAnswer], error) {
	found, err := s.engine.APIKeys(ctx, caller, in.page())
	if err != nil {
		return nil, err
	}
	return listed(ctx, found, encodeKey), nil
}

func (s *Server) revokeKey(ctx context.Context, caller engine.Caller, in *ByID) (*nothing, error) {
	return &nothing{}, s.engine.RevokeAPIKey(ctx, caller, in.ID)
}

func encodeKey(key engine.APIKey) KeyAnswer {
	return KeyAnswer{
		ID: key.ID, Role: key.Role, Tenant: orNull(key.Tenant), Name: key.Name, CreatedAt: instant(key.CreatedAt),
	}
}
