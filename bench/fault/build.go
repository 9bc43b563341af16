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
	args := append([]string{"build", "-o", into}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, serverPackage)...) //nolint:gosec // our own flags
	var words bytes.Buffer
	command.Stderr = &words
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the server: %w: %s", err, words.Bytes())
	}
	return nil
}
