// Package engine is the domain of Pannier: events, subscriptions, deliveries and
// what is decided about them. It knows no technology: the journal, the state, the
// history, the actors and the sender are ports that it declares (ports.go) and that
// cmd/pannier fills.
//
// An event is accepted once (accept.go: durable, then 202) and settled once per
// matched subscription (settle.go: delivered, later, or dead letter). Everything
// between the two is carried by the actors, who drive the pure machines of this
// package and of engine/delivery.
//
// Invariants held here: I1 (202 only after the journal has synced), I2 (a pair of
// event and subscription is discharged only for one of the reasons of Discharge),
// I5 (every bound is named in limits.go).
package engine
