// Package server drives a Pannier server from outside: it builds and starts one as a child
// process, calls its API, and reads what the process costs from /proc. It knows the public
// contract only and imports nothing of the server.
package server
