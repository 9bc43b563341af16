package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"pannier/engine"
)

// Options are what a Server is made from. Engine is required.
type Options struct {
	Engine Engine
	// Metrics answers /metrics; nil leaves the path out.
	Metrics http.Handler
	// Version is shown in the OpenAPI document.
	Version string
	// Clock is time.Now unless a test gives another.
	Clock engine.Clock
	// Logger gets internal errors; nil is slog.Default().
	Logger *slog.Logger
	// Tracers makes the span `accept`; nil is the global provider.
	Tracers trace.TracerProvider
}

// Server answers the REST API. Safe for concurrent use.
type Server struct {
	engine  Engine
	metrics http.Handler
	clock   engine.Clock
	logger  *slog.Logger
	tracer  trace.Tracer

	huma     huma.API
	mux      *http.ServeMux
	document func() []byte // /openapi.json, rendered when it is first asked for
	docs     func() []byte // /docs, likewise
	// receiving counts the bytes of bodies that are being read or decoded.
	receiving atomic.Int64
}

// installProblems replaces huma's error constructors, which are variables of its package:
// once in a process, whatever the number of servers.
var installProblems = sync.OnceFunc(func() {
	huma.NewErrorWithContext = humaProblem
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return humaProblem(nil, status, detail, errs...)
	}
})

// New makes a Server.
func New(o Options) *Server {
	installProblems()
	s := &Server{engine: o.Engine, metrics: o.Metrics, clock: o.Clock, logger: o.Logger, mux: http.NewServeMux()}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if o.Tracers == nil {
		o.Tracers = otel.GetTracerProvider()
	}
	s.tracer = o.Tracers.Tracer("pannier/engine/api")
	s.huma = newDocument(s.mux, o.Version)
	s.addEvents()
	s.addSubscriptions()
	s.addSubscriptionActions()
	s.addReconciliation()
	s.addDeliveries()
	s.addKeys()
	s.addOperations()
	s.documentPages()
	s.document = sync.OnceValue(func() []byte { return renderDocument(s.huma.OpenAPI()) })
	s.docs = sync.OnceValue(func() []byte { return renderDocs(s.huma.OpenAPI()) })
	s.addPages(s.mux, true)
	return s
}

// Handler answers everything of the API.
func (s *Server) Handler() http.Handler {
	return s.guarded(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == eventsPath && r.Method == http.MethodPost {
			s.postEvents(w, r)
			return
		}
		s.route(s.mux, w, r)
	})
}

// OpsHandler answers /healthz, /readyz, /metrics, /docs and /openapi.json without keys,
// for a listener that only operators reach.
func (s *Server) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	s.addPages(mux, false)
	return s.guarded(func(w http.ResponseWriter, r *http.Request) { s.route(mux, w, r) })
}

// The values of headers that every answer has are shared: nobody changes them.
var nosniff, noStore, jsonTypes = []string{"nosniff"}, []string{"no-store"}, []string{jsonType}

// guarded sets the headers of every answer and turns a panic into a problem. A panic here
// concerns one request: no state of the engine is changed in this package.
func (s *Server) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header["X-Content-Type-Options"], header["Cache-Control"] = nosniff, noStore
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason)
			default:
				s.Refuse(w, r, fmt.Errorf("answer request: panic: %v\n%s", reason, debug.Stack()))
			}
		}()
		next(w, r)
	})
}

// route finds the handler of a path; what the mux would answer itself, in plain text,
// becomes a problem.
func (s *Server) route(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	escaped := r.URL.EscapedPath()
	if path.Clean(escaped) != escaped {
		s.Refuse(w, r, notFound()) // the mux would redirect
		return
	}
	handler, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	refused := refusal{header: make(http.Header)}
	handler.ServeHTTP(&refused, r)
	if refused.status != http.StatusMethodNotAllowed {
		s.Refuse(w, r, notFound())
		return
	}
	p := newProblem(kindOfStatus(refused.status), r.URL.Path, "this path has no method "+r.Method, nil)
	p.header.Set("Allow", refused.header.Get("Allow"))
	s.Refuse(w, r, p)
}

func notFound() error { return engine.Errorf(engine.CodeNotFound, "there is nothing at this path") }

// refusal catches how the mux refuses a request.
type refusal struct {
	header http.Header
	status int
}

func (f *refusal) Header() http.Header            { return f.header }
func (f *refusal) Write(body []byte) (int, error) { return len(body), nil }
func (f *refusal) WriteHeader(status int)         { f.status = status }
