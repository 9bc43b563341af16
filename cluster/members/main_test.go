package members

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain has more patience than goleak: a probe that was under way at the end waits for its
// answer, up to 8 intervals in a member that heard little.
func TestMain(m *testing.M) {
	code := m.Run()
	err := goleak.Find()
	for range 3 { // each looks for about a second
		if err == nil {
			break
		}
		err = goleak.Find()
	}
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
