package main

import "pannier/bench/check"

// The rules of the simulator's judge (bench/sim/rules.go).
const (
	simCopies   check.Rule = "I1"
	simEnd      check.Rule = "I2"
	simLast     check.Rule = "I3"
	simKeeper   check.Rule = "I4"
	simLost     check.Rule = "lost"
	simMembers  check.Rule = "members"
	simSame     check.Rule = "same"
	simBack     check.Rule = "back"
	simRepeated check.Rule = "repeated"
)

// clusterMutants are clusters that break one promise each.
var clusterMutants = []mutant{
	{
		name: "202 before the followers", short: true, sim: true, fault: "cut, disk lost",
		why:   "an event is answered once its own member has it, whatever the followers have",
		wants: []check.Rule{simCopies},
		edits: []edit{{
			file: "cluster/protocol/replication.go",
			old:  "if n := r.required(); len(ends) >= n",
			new:  "if n := 1; len(ends) >= n",
		}},
	},
	{
		name: "no adoption", short: true, sim: true, fault: "disk lost",
		why:   "the journal of a member that died waits for it to come back",
		wants: []check.Rule{simKeeper, simLost},
		edits: []edit{{
			file: "cluster/protocol/custody.go",
			old:  "case best.member == c.member.id && c.mayAdopt(copied):",
			new:  "case false:",
		}},
	},
	{
		name: "spill before its replicas", short: true, sim: true, fault: "cut, disk lost",
		why:   "a retry record takes its event off the journal once one member has it",
		wants: []check.Rule{simEnd},
		edits: []edit{{
			file: "cluster/protocol/shards.go",
			old:  "if g.here && len(g.waiting) == 0 && s.groups",
			new:  "if g.here && s.groups",
		}},
	},
	{
		name: "stale table drops", short: true, sim: true, fault: "stop",
		why:   "an owner that has not heard of a subscription yet takes its deliveries for done",
		wants: []check.Rule{simLost, simLast},
		edits: []edit{{
			file: "cluster/protocol/routing.go",
			old:  "unknown = append(unknown, sub)\n\t\t\tr.giveBack(keeper, p, m.Sequence, false)",
			new:  "unknown = append(unknown, sub)\n\t\t\tr.answer(keeper, &Done{Journal: m.Journal, Subscription: sub, Sequences: []uint64{m.Sequence}})",
		}},
	},
	{
		name: "no rejoin", short: true, sim: true, fault: "isolate",
		why:   "nobody looks for the members that a partition took away",
		wants: []check.Rule{simMembers, simLost},
		edits: []edit{{
			file: "cluster/protocol/member.go",
			old:  "\tm.activate()\n\tm.rejoin()\n",
			new:  "\tm.activate()\n",
		}},
	},
	{
		name: "done marks ignored", short: true, sim: true, fault: "kill one",
		why:   "merging copies of retry state takes records in, and not that they are settled",
		wants: []check.Rule{simSame, simBack, simRepeated},
		edits: []edit{{
			file: "cluster/protocol/reconcile.go",
			old:  "\tif len(m.Entries) > 0 {\n\t\tr.touch(m.Shard)\n",
			new: `	m.Entries = slices.DeleteFunc(slices.Clone(m.Entries), func(e engine.Entry) bool { return e.Value == nil })
	if len(m.Entries) > 0 {
		r.touch(m.Shard)
`,
		}},
	},
	{
		name: "deletions forgotten", short: true, sim: true, fault: "kill one",
		why:   "a subscription is deleted until a member that missed it tells of the older version",
		wants: []check.Rule{simSame, simBack},
		edits: []edit{
			{
				file: "cluster/protocol/versions.go",
				old:  "known == nil || known.Revision < version.Revision {",
				new:  "known == nil || known.Revision < version.Revision || (known.Deleted && !version.Deleted) {",
			},
			{
				file: "cluster/protocol/versions.go",
				old:  "if before != nil && before.Revision >= version.Revision {",
				new:  "if before != nil && before.Revision >= version.Revision && (!before.Deleted || version.Deleted) {",
			},
			{
				file: "engine/table.go",
				old:  "if before != nil && before.Revision >= version.Revision {",
				new:  "if before != nil && before.Revision >= version.Revision && (!before.Deleted || version.Deleted) {",
			},
		},
	},
	{
		name: "copy given up too early", short: true, sim: true,
		why:   "a former replica removes its copy as soon as the owner has the same",
		wants: []check.Rule{simLast},
		edits: []edit{{
			file: "cluster/protocol/reconcile.go",
			old:  "!slices.Contains(replicas, from) && r.replicated(shard) {",
			new:  "!slices.Contains(replicas, from) {",
		}},
	},
	{
		name: "adopted at its end", short: true, sim: true,
		why:   "whoever adopts a journal takes all of it for discharged",
		wants: []check.Rule{simLast, simLost},
		edits: []edit{{
			file: "cluster/protocol/custody.go",
			old:  "Journal: copied.ref, Release: release, State: copied.state,",
			new:  "Journal: copied.ref, Release: copied.synced, State: copied.state,",
		}},
	},
	{
		name: "damage not looked for", sim: true,
		why:   "a member goes on with a copy of which its disk has lost some",
		wants: []check.Rule{simLost, simLast, simCopies},
		edits: []edit{{
			file: "cluster/protocol/replica.go",
			old:  "c.unknown, c.damage = false, max(c.damage, damage)",
			new:  "c.unknown = false",
		}},
	},
	{
		name: "forgotten without notice", sim: true,
		why:   "a member that was given up for a moment goes on waiting for what it was owed",
		wants: []check.Rule{simCopies, simLast, simKeeper, simSame, simLost},
		edits: []edit{{
			file: "cluster/protocol/member.go",
			old:  "if s.forgottenBy(e) {",
			new:  "if false {",
		}},
	},
}
