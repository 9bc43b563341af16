package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"pannier/engine"
)

// exchange is what travels in the context from the admission of a request to its handler.
type exchange struct {
	caller  engine.Caller
	request *http.Request
	writer  http.ResponseWriter
}

type exchangeKey struct{}

// SilentHeader names the members of a cluster that did not answer, in every answer that lacks what
// they know or that they have not heard of.
const SilentHeader = "Pannier-Silent-Members"

func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange) //nolint:forcetypeassert // admission set it
}

// posted is a JSON body: decoded, and as it came.
type posted[B any] struct {
	value B
	raw   []byte
}

// handle registers an operation without a body. huma reads its parameters from I and
// documents O.
func handle[I, O any](s *Server, op huma.Operation, who access,
	do func(context.Context, engine.Caller, *I) (*O, error),
) {
	describe(&op, who)
	op.Middlewares = huma.Middlewares{s.admission(who)}
	// huma would read the body itself if it knew of it.
	body := op.RequestBody
	op.RequestBody = nil
	defer func() { registered(s.huma.OpenAPI(), op.Method, op.Path).RequestBody = body }()
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		x := exchangeOf(ctx)
		ctx = engine.WithSilence(ctx)
		out, err := do(ctx, x.caller, in)
		if silent := engine.SilentMembers(ctx); len(silent) > 0 {
			x.writer.Header().Set(SilentHeader, strings.Join(silent, ", "))
		}
		if err != nil {
			return nil, s.problem(ctx, x.request.URL.Path, err)
		}
		return out, nil
	})
}

// handleBody registers an operation with a JSON object as body, which this package decodes
// itself (see the package comment). op.RequestBody tells whether it may be absent.
func handleBody[I, B, O any](s *Server, op huma.Operation, who access,
	do func(context.Context, engine.Caller, *I, posted[B]) (*O, error),
) {
	required, types := op.RequestBody.Required, op.RequestBody.Content
	handle(s, op, who, func(ctx context.Context, caller engine.Caller, in *I) (*O, error) {
		x := exchangeOf(ctx)
		var body posted[B]
		var err error
		if body.raw, err = s.readJSON(x.writer, x.request, types); err != nil {
			return nil, err
		}
		if len(body.raw) > 0 || required {
			if err := decodeObject(body.raw, &body.value); err != nil {
				return nil, err
			}
		}
		return do(ctx, caller, in, body)
	})
}

// registered finds an operation in the document.
func registered(document *huma.OpenAPI, method, path string) *huma.Operation {
	for _, op := range operationsOf(document.Paths[path]) {
		if op.Method == method {
			return op
		}
	}
	panic("api: " + method + " " + path + " is not registered")
}

// decodeObject reads a body that must be an object. Unlike encoding/json it refuses
// duplicate members, invalid UTF-8, lone surrogates, trailing data and depth beyond
// MaxDataDepth (400), and unknown members and names that differ in case (422, named by
// pointer).
func decodeObject(body []byte, into any) error {
	if err := checkSyntax(body); err != nil {
		return err
	}
	if bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return engine.Invalid("", "the body must be an object")
	}
	return decodeChecked(body, into)
}

// admission authenticates a request and checks its query before huma reads anything.
func (s *Server) admission(who access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		caller, err := s.admit(r, who)
		if err == nil && len(r.PathValue("id")) > maxIDBytes {
			err = notFound() // no id is that long
		}
		if err == nil {
			err = checkQuery(r, func(name string) bool { return hasQuery(ctx.Operation(), name) })
		}
		if err != nil {
			s.Refuse(w, r, err)
			return
		}
		next(huma.WithValue(ctx, exchangeKey{}, &exchange{caller: caller, request: r, writer: w}))
	}
}

func hasQuery(op *huma.Operation, name string) bool {
	for _, p := range op.Parameters {
		if p.In == "query" && p.Name == name {
			return true
		}
	}
	return false
}

// nothing is the input of operations without parameters and the output of those that
// answer 204.
type nothing struct{}

// maxIDBytes bounds an id in a path.
const maxIDBytes = 128

// ByID is the input of operations on one thing.
type ByID struct {
	ID string `path:"id" doc:"Its id."`
}
