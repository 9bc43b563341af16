package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	// scriptPatience bounds how long a script waits for a fact.
	scriptPatience = time.Minute
	scriptPoll     = 20 * time.Millisecond
)

// TestScripts runs the scripts of testdata/script: the real command line, in processes of
// its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: false,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":  scriptStart,
			"serve":  scriptServe,
			"end":    scriptEnd,
			"status": scriptStatus,
			"until":  scriptUntil,
			"value":  scriptValue,
			"match":  scriptMatch,
			"fetch":  scriptFetch,
			"holds":  scriptHolds,

			"balanced": scriptBalanced,
		},
		Setup: func(env *testscript.Env) error {
			env.Values[processes{}] = map[string]*process{}
			return nil
		},
	})
}

// processes is the key of what a script has started.
type processes struct{}

// process is a command that a script has started.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	file    string // of what it writes, without .out and .err
}

// scriptStart runs a command beside the script: start NAME VARIABLE PATTERN COMMAND ARGS.
// It waits until what the command writes, kept in NAME.out and NAME.err, matches the
// pattern, whose first group becomes the variable.
func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: start name variable pattern command args...")
	}
	name, variable, pattern := args[0], args[1], regexp.MustCompile(args[2])
	p := &process{command: scriptCommand(ts, args[3:]), ended: make(chan struct{}), file: ts.MkAbs(name)}
	out, err := os.Create(p.file + ".out")
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(p.file + ".err")
	ts.Check(err)
	defer errs.Close()
	p.command.Stdout, p.command.Stderr = out, errs
	ts.Check(p.command.Start())
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // its status is in ProcessState
	}()
	ts.Value(processes{}).(map[string]*process)[name] = p
	ts.Defer(func() {
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
	})
	ts.Setenv(variable, awaitOutput(ts, p, pattern))
}

func awaitOutput(ts *testscript.TestScript, p *process, pattern *regexp.Regexp) string {
	var text string
	err := eventually(func() bool {
		text = ts.ReadFile(p.file+".out") + ts.ReadFile(p.file+".err")
		select {
		case <-p.ended:
			return true
		default:
			return pattern.MatchString(text)
		}
	})
	found := pattern.FindStringSubmatch(text)
	if err != nil || found == nil {
		ts.Fatalf("%s did not write %s but:\n%s", filepath.Base(p.file), pattern, text)
	}
	return found[1]
}

// scriptServe starts a server that may reach receivers on this machine, in the folder
// data, and waits until it is ready: serve ARGS. PANNIER_URL is where it answers.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	scriptStart(ts, neg, append([]string{
		"server", "PANNIER_URL", `msg="pannier is ready" url=(\S+)`, "pannier", "serve", "--data", "data",
		"--listen", "127.0.0.1:0", "--allow-insecure-endpoints", "--allow-private", "127.0.0.0/8",
	}, args...))
	err := eventually(func() bool {
		status, _, err := fetch(ts.Getenv("PANNIER_URL")+"/readyz", "")
		return err == nil && status == http.StatusOK
	})
	if err != nil {
		ts.Fatalf("the server does not become ready: %v", err)
	}
}

// scriptEnd sends a signal to a command that was started and waits for its end: end NAME
// SIGNAL STATUS.
func scriptEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end name signal status")
	}
	p := ts.Value(processes{}).(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("%s was not started", args[0])
	}
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt}
	ts.Check(p.command.Process.Signal(signals[args[1]]))
	select {
	case <-p.ended:
	case <-time.After(scriptPatience):
		ts.Fatalf("%s does not end", args[0])
	}
	if got := strconv.Itoa(p.command.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("%s ended with status %s, want %s\n%s", args[0], got, args[2], ts.ReadFile(p.file+".err"))
	}
}

// scriptStatus runs a command that must end with a status: status N COMMAND ARGS.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status number command args...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("status %d, want %s", got, want)
	}
}

// scriptUntil runs a command again until its output matches: until PATTERN COMMAND ARGS.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until pattern command args...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	var out []byte
	err := eventually(func() bool {
		var err error
		out, err = scriptCommand(ts, args[1:]).Output()
		return err == nil && pattern.Match(out)
	})
	_, _ = ts.Stdout().Write(out)
	if err != nil {
		ts.Fatalf("no output matches %s", pattern)
	}
}

// scriptCommand is a command that runs as the script's own do.
func scriptCommand(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	command := exec.Command(path, args[1:]...)
	command.Dir, command.Env = ts.MkAbs("."), scriptEnvironment(ts)
	return command
}

// scriptValue sets a variable to a member of the last output: value NAME MEMBER..., where
// a number is a position in a list.
func scriptValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: value variable member...")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for _, step := range args[1:] {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[step]
		case []any:
			n, err := strconv.Atoi(step)
			ts.Check(err)
			if n >= len(inner) {
				ts.Fatalf("the list has %d items", len(inner))
			}
			value = inner[n]
		default:
			ts.Fatalf("nothing at %s", step)
		}
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// scriptMatch sets a variable to the first group of a pattern in a file: match VARIABLE
// PATTERN FILE.
func scriptMatch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: match variable pattern file")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(args[2]))
	if found == nil {
		ts.Fatalf("%s does not match %s", args[2], args[1])
	}
	ts.Setenv(args[0], found[1])
}

// scriptHolds looks for a text in the files of a folder: [!] holds TEXT FOLDER.
func scriptHolds(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || args[0] == "" {
		ts.Fatalf("usage: holds text folder")
	}
	holder := ""
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.Contains(ts.ReadFile(path), args[0]) {
			holder = path
		}
		return err
	}))
	if (holder == "") != neg {
		ts.Fatalf("holding the text: %q", holder)
	}
}

var demoEquation = regexp.MustCompile(
	`matched +(\d+) = (\d+) delivered \+ (\d+) waiting \+ (\d+) attempting \+ (\d+) dead\n`,
)

// scriptBalanced checks that the demo's summary adds up and is about something: balanced
// FILE.
func scriptBalanced(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: balanced file")
	}
	found := demoEquation.FindStringSubmatch(ts.ReadFile(args[0]))
	if found == nil {
		ts.Fatalf("there is no summary")
	}
	var numbers [5]int
	for n := range numbers {
		number, err := strconv.Atoi(found[n+1])
		ts.Check(err)
		numbers[n] = number
	}
	if matched, delivered := numbers[0], numbers[1]; delivered == 0 || matched != delivered+numbers[2]+numbers[3]+numbers[4] {
		ts.Fatalf("it does not add up, or nothing was delivered: %s", found[0])
	}
}

// scriptFetch gets a URL and prints the body: fetch STATUS URL [KEY].
func scriptFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fetch status url [key]")
	}
	status, body, err := fetch(args[1], strings.Join(args[2:], ""))
	ts.Check(err)
	_, _ = io.WriteString(ts.Stdout(), body)
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("status %d, want %s\n%s", status, args[0], body)
	}
}

func fetch(url, key string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// eventually waits until a condition holds.
func eventually(condition func() bool) error {
	ticks := time.NewTicker(scriptPoll)
	defer ticks.Stop()
	patience := time.After(scriptPatience)
	for !condition() {
		select {
		case <-ticks.C:
		case <-patience:
			return fmt.Errorf("it does not happen within %v", scriptPatience)
		}
	}
	return nil
}

// passedOn names the variables that commands beside the script see, as those in it do.
var passedOn = sync.OnceValue(func() []string {
	names := []string{
		"PATH", "HOME", "TMPDIR", "GOCOVERDIR", "GORACE", "SSL_CERT_FILE",
		"PANNIER_URL", "PANNIER_API_KEY", "PANNIER_ADMIN_KEY",
	}
	for _, flag := range serveFlags() {
		names = append(names, flag.Envs...)
	}
	return names
})

func scriptEnvironment(ts *testscript.TestScript) []string {
	var environment []string
	for _, name := range passedOn() {
		if value := ts.Getenv(name); value != "" {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}
