package main

import "time"

// The rules, by the names under which a broken one is reported.
const (
	// ruleI1: an answered event has its copies until it is discharged.
	ruleI1 = "I1"
	// ruleI2: a delivery is discharged only by an end, or by what is durable on its replicas.
	ruleI2 = "I2"
	// ruleI3: a member removes only what others have, or nobody needs.
	ruleI3 = "I3"
	// ruleI4: every journal has a keeper, and every delivery that it waits for ends.
	ruleI4 = "I4"
	// ruleLost: an answered event reaches everybody it was for.
	ruleLost = "lost"
	// ruleTold: a change that is reported as being on every member is.
	ruleTold = "told"
	// ruleMembers: in the end all members run and see each other.
	ruleMembers = "members"
	// ruleSame: in the end all copies are the same.
	ruleSame = "same"
	// ruleBack: what was deleted or settled does not come back.
	ruleBack = "back"
	// ruleRepeated: a delivery is repeated only around a fault.
	ruleRepeated = "repeated"
)

// settledAfter is how long after the last fault nothing is repeated any more: a process that was
// stopped goes on a minute later, and an attempt takes half of one.
const settledAfter = 2 * time.Minute
