package fault

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// serverPackage is what Build builds.
const serverPackage = "./cmd/pannier"

// Build builds the server into a file. It must be called inside the module. flags are more
// flags of go build.
func Build(ctx context.Context, into string, flags ...string) error {
	return BuildPackage(ctx, serverPackage, into, flags...)
}

// BuildPackage builds a program of the module like Build the server.
func BuildPackage(ctx context.Context, program, into string, flags ...string) error {
	args := append([]string{"build", "-o", into}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, program)...) //nolint:gosec // our own flags
	var words bytes.Buffer
	command.Stderr = &words
	if err := command.Run(); err != nil {
		return fmt.Errorf("build %s: %w: %s", program, err, words.Bytes())
	}
	return nil
}
