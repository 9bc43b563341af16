// Package api is the HTTP server of Pannier: it decodes, authenticates, limits, calls the
// engine and encodes. It decides nothing about events, subscriptions or deliveries, keeps
// nothing between requests, and knows neither journal nor actor.
//
// A request passes the same stations everywhere: its path and method are found (404 and
// 405 are problems too), its key is authenticated before a byte of the body is read, its
// query parameters and then its body are checked, the engine is called, and the answer is
// written. POST /v1/events takes its own short way (events.go, decode.go); all the rest is
// registered with huma, which makes the OpenAPI document from the very types the handlers
// read and write.
//
// Bodies are decoded by this package and not by huma, because the contract asks for more
// than encoding/json gives: duplicate members, invalid UTF-8, depth and trailing data are
// 400, and each wrong or unknown member is named by its JSON pointer.
//
// Invariants: no body is larger in memory than its named bound; every refusal is an
// RFC 9457 problem; only an *engine.Error speaks to the caller, any other error is logged
// once and answered with a constant text; a secret is shown at creation and rotation only.
package api
