package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// testsAtOnce is how many tests run at once: they start servers and mostly wait for them.
const testsAtOnce = "8"

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"pannier": main})
}

// suite runs the tests, many at once, and looks for what they left running.
type suite struct{ *testing.M }

// Run implements testscript.TestingM.
func (s suite) Run() int {
	flag.Parse()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PANNIER_") {
			_ = os.Unsetenv(name) // a test says what it sets
		}
	}
	if !flagGiven("test.parallel") {
		if err := flag.Set("test.parallel", testsAtOnce); err != nil {
			panic(err)
		}
	}
	status := s.M.Run()
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.CloseIdleConnections()
	}
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func flagGiven(name string) (given bool) {
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
