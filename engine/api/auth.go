package api

import (
	"net/http"
	"slices"
	"strings"

	"pannier/engine"
)

// maxKeyBytes bounds the API key that is looked up.
const maxKeyBytes = 256

// access says which roles may use an operation; nil asks for no key at all.
type access []engine.Role

// Who may do what. What a key bound to a tenant sees inside an operation is the engine's
// matter.
var (
	everyone   access
	admins     = access{engine.RoleAdmin}
	publishers = access{engine.RoleAdmin, engine.RolePublisher}
	owners     = access{engine.RoleAdmin, engine.RoleSubscriber}
	observers  = access{engine.RoleAdmin, engine.RoleViewer}
	readers    = access{engine.RoleAdmin, engine.RoleSubscriber, engine.RoleViewer}
)

// admit finds who makes a request and whether who may. It reads nothing of the body.
// Errors: unauthorized, forbidden.
func (s *Server) admit(r *http.Request, who access) (engine.Caller, error) {
	if who == nil || s.engine.DevelopmentMode() {
		return engine.Caller{Role: engine.RoleAdmin}, nil
	}
	key, ok := bearer(r.Header)
	if !ok {
		return engine.Caller{}, engine.Errorf(engine.CodeUnauthorized, "an API key is needed: Authorization: Bearer <key>")
	}
	caller, err := s.engine.Authenticate(r.Context(), key)
	if err != nil {
		return engine.Caller{}, err
	}
	if !slices.Contains(who, caller.Role) {
		return engine.Caller{}, engine.Errorf(engine.CodeForbidden, "a key with the role %s may not do this", caller.Role)
	}
	return caller, nil
}

// bearer takes the key from the one Authorization header (RFC 6750 section 2.1; the scheme
// is compared without case, RFC 9110 section 11.1).
func bearer(header http.Header) (key string, ok bool) {
	values := header["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, key, found := strings.Cut(values[0], " ")
	key = strings.TrimSpace(key)
	if !found || !strings.EqualFold(scheme, "Bearer") || key == "" || len(key) > maxKeyBytes {
		return "", false
	}
	return key, true
}
