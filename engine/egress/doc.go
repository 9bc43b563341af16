// Package egress makes attempts: one guarded, signed POST each (Sender), and holds the
// policy of where such a POST may go (Guard) and what it may carry (CheckHeaders).
//
// It does not decide what follows from a result (engine.Settle), does not limit how many
// attempts run at once (engine/delivery) and keeps nothing durable.
//
// Invariants:
//   - The address that is dialled is the address that was judged: the judgement sits
//     between name resolution and connect, on every new connection, so neither a name
//     that changes its answer nor a mixed answer gets past it. What a subscription's URL
//     looks like at registration is checked early only to tell the caller early.
//   - One Send is one request: redirects are never followed, there is no proxy (those of
//     the environment would hide the address from the guard) and no cookie jar. The
//     transport repeats a request only when it is certain that the endpoint did not begin
//     to process it: nothing was written, or HTTP/2 refused the stream (RFC 9113, 8.7).
//   - The outcome stands when the response's headers are in. Nothing after them changes
//     it, and nothing of a response costs more than MaxResponseHeaderBytes, drainBytes
//     and bodyPatience.
//   - What is shown to tenants is one of a few constant phrases, never an error's text.
//
// Two clients make the requests. net/http's Transport negotiates the version over TLS,
// speaks HTTP/2, and takes what is large; it is used without http.Client, which adds
// redirects, cookies and a second timeout, all of which are unwanted here. Small requests
// to an endpoint that speaks HTTP/1.1 go through http1, at two thirds of the cost. Both
// dial through the guard, with the same TLS settings, and the tests run against both.
package egress
