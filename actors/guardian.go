package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// guardian supervises the actors that have no other supervisor: the ingress actors and the
// supervisors of the subscriptions. They hold what cannot be rebuilt while the process
// lives (a lane's ledger), so a panic there is a violated invariant and ends the process;
// the next start rebuilds everything from disk. The library would restart them with the
// message gone.
type guardian struct{ fatal func(error) }

// HandleFailure implements actor.SupervisorStrategy.
func (g *guardian) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	g.fatal(fmt.Errorf("actor %s violated an invariant: %v", child.Id, reason))
}
