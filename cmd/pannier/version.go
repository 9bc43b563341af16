package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker in a release (-X main.release=v1.2.3).
var release string

// versionCommand prints the version.
type versionCommand struct{}

// Run prints one line: the version, the Go release it was built with and the platform.
func (versionCommand) Run(c console) error { //nolint:unparam // kong wants it
	c.print(fmt.Sprintf("pannier %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
	return nil
}

// version is the release's version, or what the build knows of its source.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
