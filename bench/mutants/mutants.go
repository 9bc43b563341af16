package main

import (
	"time"

	"pannier/bench/check"
)

// edit is one change of a source file. Old must be there exactly once: a mutant that no
// longer fits its source is an error, not a pass.
type edit struct {
	file     string // from the module's root
	old, new string
}

// mutant is an engine that breaks one promise.
type mutant struct {
	name  string
	why   string // what somebody who wrote this would have got wrong
	wants []check.Rule
	short bool // part of the short run
	sim   bool // of the cluster: built into the simulator, whose judge must notice
	// fault shows a mutant of the cluster on real processes, as bench/cluster calls it; "" does not.
	fault string
	// life is how long the server lives before each kill, where it matters.
	life  time.Duration
	edits []edit
}

// The order is that of an event's way through the engine.
var mutants = []mutant{
	{
		name: "202 before sync", short: true,
		why:   "the answer goes out while the write is still on its way to the file",
		wants: []check.Rule{check.NoLoss, check.Readable},
		edits: []edit{
			{
				file: "actors/ingress.go",
				old:  "first, err := i.journal.Append(records, func() { i.send(synced{group}) })\n",
				new: `first, err := i.journal.Append(records, func() { i.send(synced{group}) })
	for _, s := range group {
		if err == nil && !s.part.Held {
			s.done <- nil
		}
	}
`,
			},
			{
				// SIGKILL leaves the page cache alone: only what never reached the file is lost.
				file: "storage/groupcommit.go",
				old:  "start, from := time.Now(), j.writer.offset",
				new:  "time.Sleep(300 * time.Millisecond)\n\t\tstart, from := time.Now(), j.writer.offset",
			},
		},
	},
	{
		name:  "ids forgotten",
		why:   "a given id is not looked up before its event is accepted",
		wants: []check.Rule{check.NothingInvent},
		edits: []edit{{
			file: "engine/accept.go",
			old:  "	identities, others := e.recent.split(ids)",
			new:  "	identities, others := e.recent.split(ids[:0])",
		}},
	},
	{
		name:  "tenants ignored",
		why:   "an event of one tenant is matched with the subscriptions of all",
		wants: []check.Rule{check.RightReceiver},
		edits: []edit{{
			file: "actors/ingress.go",
			old:  "i.system.table.Match(event.Topic, event.Tenant, nil)",
			new:  `i.system.table.Match(event.Topic, "", nil)`,
		}},
	},
	{
		name: "full mailbox drops", short: true,
		why:   "what does not fit into a mailbox is thrown away",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{{
			file: "actors/ingress.go",
			old:  "s.overflow(event.Ref.Sequence)\n\t\t\ti.noteDirty(e, s)\n\t\t\te.wake()",
			new:  "continue",
		}},
	},
	{
		name: "settled before sent", short: true,
		why:   "a delivery is taken off the ledger when its attempt starts, not when it ends",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{
			{
				file: "engine/delivery/start.go",
				old:  "	m.noteSlow(f.since.Add(engine.SpillAfter))\n	m.begin(f)\n}",
				new:  "	m.noteSlow(f.since.Add(engine.SpillAfter))\n	m.begin(f)\n\tif f.live {\n\t\tm.out.Discharged = append(m.out.Discharged, f.key.Event)\n\t}\n}",
			},
			{
				file: "engine/delivery/end.go",
				old:  "	if p.Live {\n\t\tm.out.Discharged = append(m.out.Discharged, p.Event)\n\t}\n",
				new:  "",
			},
		},
	},
	{
		name:  "disabled and delivering",
		why:   "what is pending of a disabled subscription goes out all the same",
		wants: []check.Rule{check.Silence},
		edits: []edit{{
			file: "engine/delivery/machine.go",
			old:  "m.sub.Enabled && !m.sub.Deleted",
			new:  "!m.sub.Deleted",
		}},
	},
	{
		name: "deleted and delivering", short: true,
		why:   "a deletion does not reach the subscription's actor",
		wants: []check.Rule{check.Silence},
		edits: []edit{
			{
				file: "engine/subscriptions.go",
				old:  "	return version, e.deliveries.Changed(ctx, id)",
				new:  "	if version.Deleted {\n\t\treturn version, nil\n\t}\n\treturn version, e.deliveries.Changed(ctx, id)",
			},
			{
				file: "actors/attempts.go",
				old:  "	if p.ctx.Err() != nil || version.Deleted || ",
				new:  "	if p.ctx.Err() != nil || ",
			},
			{
				file: "engine/subscriptions.go",
				old:  "		version.URL, version.Description = \"\", \"\"\n\t\tversion.Topics, version.Secrets, version.Headers = nil, nil, nil\n",
				new:  "",
			},
		},
	},
	{
		name:  "matched at delivery",
		why:   "the versions in force at the attempt decide, not those at accept",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{{
			file: "actors/attempts.go",
			old:  "	end.result = p.system.sender.Send(",
			new: `	if !version.Matches(end.event.Topic, end.event.Tenant) {
		end.result.Outcome = engine.OutcomeSuccess
		return end
	}
	end.result = p.system.sender.Send(`,
		}},
	},
	{
		name:  "timestamp of the accept",
		why:   "attempts are signed with the time of the event, so a retry looks like a replay attack",
		wants: []check.Rule{check.Signed},
		edits: []edit{{
			file: "engine/egress/message.go",
			old:  "	event := request.Event\n",
			new:  "	event := request.Event\n\tnow = event.AcceptedAt\n",
		}},
	},
	{
		name: "dead at the first failure", short: true,
		why:   "everything that fails once is given up, which breaks no other rule",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{{
			file: "engine/settle.go",
			old:  "case once || used >= s.Retry.MaxRetries:",
			new:  "case once || used >= 0:",
		}},
	},
	{
		name:  "hasty retries",
		why:   "the delay is shorter than the subscription's min_delay",
		wants: []check.Rule{check.Schedule},
		edits: []edit{{
			file: "engine/settle.go",
			old:  "return Decision{Kind: Later, Delay: delay}",
			new:  "return Decision{Kind: Later, Delay: delay / 4}",
		}},
	},
	{
		name: "retries forgotten", short: true,
		why:   "a restart does not read the retry records",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{{
			file: "actors/system.go",
			old:  "		last := len(records) < page",
			new:  "		records = nil\n\t\tlast := len(records) < page",
		}},
	},
	{
		name:  "open pairs forgotten",
		why:   "the watermark names no open pairs, so a restart takes them for settled",
		wants: []check.Rule{check.NoLoss},
		edits: []edit{{
			file: "actors/checkpoint.go",
			old:  "open = append(open, engine.OpenPairs{Subscription: e.id, Sequences: sequences})",
			new:  "_, _ = e, sequences",
		}},
	},
	{
		name:  "everything sent again",
		why:   "a restart routes the whole journal, whatever was discharged",
		wants: []check.Rule{check.RepeatsAtKills},
		life:  check.DuplicateWindow + 2*time.Second,
		edits: []edit{
			{
				file: "actors/recovery.go",
				old:  "from := max(r.mark.Sequence, first, 1)",
				new:  "from := max(first, 1)",
			},
			{
				file: "actors/recovery.go",
				old:  "if event.Ref.Sequence <= r.mark.OpenThrough {",
				new:  "if false {",
			},
		},
	},
}
