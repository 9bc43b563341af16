package main

// clusterFlags are the flags of a cluster. They are part of the command line so that a
// script written for a cluster gets a plain answer, not a complaint about its spelling.
type clusterFlags struct {
	Advertise   string   `env:"PANNIER_ADVERTISE" placeholder:"HOST" yaml:"advertise" group:"cluster" help:"Not part of this version."`
	Bind        string   `env:"PANNIER_BIND" placeholder:"HOST:PORT" yaml:"bind" group:"cluster" help:"Not part of this version."`
	RPC         string   `name:"rpc" env:"PANNIER_RPC" placeholder:"HOST:PORT" yaml:"rpc" group:"cluster" help:"Not part of this version."`
	Join        []string `env:"PANNIER_JOIN" placeholder:"HOST:PORT" yaml:"join" group:"cluster" help:"Not part of this version."`
	Replication int      `env:"PANNIER_REPLICATION" default:"1" placeholder:"N" yaml:"replication" group:"cluster" help:"Only 1 in this version."`
	ClusterKey  string   `env:"PANNIER_CLUSTER_KEY" placeholder:"FILE" yaml:"cluster_key" group:"cluster" help:"Not part of this version."`
}

// check refuses whatever asks for a cluster.
func (f *clusterFlags) check() error {
	const refusal = "--%s: the cluster is not part of this version, a server runs alone"
	for _, asked := range []struct {
		name string
		set  bool
	}{
		{"advertise", f.Advertise != ""},
		{"bind", f.Bind != ""},
		{"rpc", f.RPC != ""},
		{"join", len(f.Join) > 0},
		{"replication", f.Replication > 1},
		{"cluster-key", f.ClusterKey != ""},
	} {
		if asked.set {
			return usagef(refusal, asked.name)
		}
	}
	if f.Replication < 1 {
		return usagef("--replication: must be at least 1, got %d", f.Replication)
	}
	return nil
}
