package main

import (
	"net/http"
	"net/http/pprof" // the default mux, where it registers itself, is served nowhere
)

// withProfiles adds Go's profiles, for `go tool pprof`, to the operators' listener. They
// tell where the process spends its time and memory; a heap dump is not among them.
func withProfiles(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and every profile by its name
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	return mux
}
