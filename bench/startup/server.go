package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"pannier/bench/load/server"
)

const (
	// giveUpAfter is how long a server may take to be ready before it is taken for stuck.
	giveUpAfter = 60 * time.Second
	pollEvery   = 5 * time.Millisecond
	callTimeout = 5 * time.Second
)

func build(ctx context.Context, binary string) error {
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, "pannier/cmd/pannier") //nolint:gosec // a constant package into our own folder
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the server: %w\n%s", err, output)
	}
	return nil
}

// start is what one start measured.
type start struct {
	ready   time.Duration // from the exec to the first 200 of /readyz
	cpu     time.Duration // that the server used in that time
	memory  int64         // resident bytes when it was ready
	pending int64
}

// startServer starts a server on a folder, waits until it is ready and kills it.
func startServer(ctx context.Context, binary, data string) (s start, err error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return s, err
	}
	var logs strings.Builder
	command := exec.Command(binary, "serve", "--data", data, "--listen", address, //nolint:gosec,noctx // killed below
		"--allow-insecure-endpoints", "--allow-private", "127.0.0.0/8")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PANNIER_") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Stderr = &logs
	began := time.Now()
	if err := command.Start(); err != nil {
		return s, fmt.Errorf("start the server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // killed
		close(ended)
	}()
	defer func() {
		_ = command.Process.Kill()
		<-ended
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, logs.String())
		}
	}()
	if err := awaitReady(ctx, address, ended); err != nil {
		return s, err
	}
	s.ready = time.Since(began)
	usage, err := server.ReadUsage(command.Process.Pid)
	if err != nil {
		return s, err
	}
	s.cpu, s.memory = usage.CPU, usage.RSS
	s.pending, err = pendingOf(ctx, address)
	return s, err
}

// freeAddress is a port of loopback that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func awaitReady(ctx context.Context, address string, ended <-chan struct{}) error {
	limit := time.NewTimer(giveUpAfter)
	defer limit.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-poll.C:
		case <-ended:
			return errors.New("the server ended before it was ready")
		case <-limit.C:
			return fmt.Errorf("the server is not ready after %v", giveUpAfter)
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := get(ctx, "http://"+address+"/readyz"); err == nil {
			return nil
		}
	}
}

func pendingOf(ctx context.Context, address string) (int64, error) {
	text, err := get(ctx, "http://"+address+"/v1/stats")
	if err != nil {
		return 0, err
	}
	var stats struct {
		Pending int64 `json:"pending"`
	}
	if err := json.Unmarshal(text, &stats); err != nil {
		return 0, fmt.Errorf("decode the stats: %w", err)
	}
	return stats.Pending, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call the server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", url, response.StatusCode)
	}
	return io.ReadAll(response.Body)
}

// endpoint takes what is overdue.
type endpoint struct {
	url    string
	server *http.Server
	done   sync.WaitGroup
}

func startEndpoint(ctx context.Context) (*endpoint, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the endpoint: %w", err)
	}
	e := &endpoint{url: "http://" + listener.Addr().String() + "/hook"}
	e.server = &http.Server{ReadHeaderTimeout: callTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a delivery that was cut off is tried again
		w.WriteHeader(http.StatusNoContent)
	})}
	e.done.Go(func() { _ = e.server.Serve(listener) }) // ends by Close only
	return e, nil
}

func (e *endpoint) close() {
	_ = e.server.Close() // nothing is wanted any more
	e.done.Wait()
}
