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

// probePatience is how many seconds more a probe of memberlist may go on that was under way when
// its member stopped: it waits for its answer.
const probePatience = 4

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
	err := goleak.Find()
	for n := 0; err != nil && n < probePatience; n++ {
		err = goleak.Find()
	}
	if err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func flagGiven(name string) (given bool) {
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
