// Command straightline is the yardstick of bench/speed: the shortest program that accepts an
// event durably and delivers it. A request is read by net/http, written to a file with one
// sync for all that wait, answered 202, signed and sent by net/http from 64 workers. It has
// no retries, no routing, no limits, no log and no memory of what it delivered.
//
//	straightline --to http://127.0.0.1:9000/0,http://127.0.0.1:9000/1
//
// With --bare it does not even accept: each worker sends the same event again and again.
// What net/http's client can do on the machine is what that does.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	workers   = 64
	maxGroup  = 1024    // requests of one sync
	fileBytes = 2 << 30 // set aside, so that a sync need not grow the file
)

// accepted is a request whose body is to be synced.
type accepted struct {
	body   []byte
	synced chan error
}

// job is one delivery.
type job struct {
	id, url string
	body    []byte
}

func main() {
	to := flag.String("to", "", "the endpoints, split by commas; each gets every event")
	path := flag.String("file", "straightline.log", "where events are written")
	bare := flag.Bool("bare", false, "send without accepting")
	flag.Parse()
	if err := run(strings.Split(*to, ","), *path, *bare); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "straightline:", err)
		os.Exit(1)
	}
}

func run(endpoints []string, path string, bare bool) error {
	client := &http.Transport{MaxIdleConnsPerHost: workers}
	if bare {
		event := job{id: "evt_0", body: []byte(`{"data":"` + strings.Repeat("x", 600) + `"}`)}
		return loop(client, event, endpoints)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // named by who runs it
	if err != nil {
		return err
	}
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, fileBytes); err != nil {
		return err
	}
	commits, jobs := make(chan accepted), make(chan job)
	go commit(file, commits)
	for range workers {
		go deliver(client, jobs)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at start
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	var number atomic.Int64
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // on loopback, for a while
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		a := accepted{body: body, synced: make(chan error, 1)}
		commits <- a
		if err := <-a.synced; err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		id := "evt_" + strconv.FormatInt(number.Add(1), 10)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"`+id+`"}`)
		for _, endpoint := range endpoints {
			jobs <- job{id: id, url: endpoint, body: body}
		}
	}))
}

// commit writes what waits and syncs once for all of it.
func commit(file *os.File, waiting <-chan accepted) {
	var group []accepted
	var buffer bytes.Buffer
	for first := range waiting {
		group = append(group[:0], first)
		for more := true; more && len(group) < maxGroup; {
			select {
			case next := <-waiting:
				group = append(group, next)
			default:
				more = false
			}
		}
		buffer.Reset()
		for _, a := range group {
			buffer.Write(a.body)
			buffer.WriteByte('\n')
		}
		_, err := file.Write(buffer.Bytes())
		if err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		for _, a := range group {
			a.synced <- err
		}
	}
}

func deliver(client *http.Transport, jobs <-chan job) {
	for j := range jobs {
		_ = send(client, j) // no retries
	}
}

// loop is the bare client.
func loop(client *http.Transport, event job, endpoints []string) error {
	failed := make(chan error)
	for worker := range workers {
		go func() {
			for n := worker; ; n++ {
				event := event
				event.url = endpoints[n%len(endpoints)]
				if err := send(client, event); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

var secret = []byte("0123456789abcdef0123456789abcdef")

func send(client *http.Transport, j job) error {
	request, err := http.NewRequest(http.MethodPost, j.url, bytes.NewReader(j.body)) //nolint:noctx // the yardstick waits for ever
	if err != nil {
		return err
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(j.id + "." + now + "."))
	mac.Write(j.body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", j.id)
	request.Header.Set("Webhook-Timestamp", now)
	request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	response, err := client.RoundTrip(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close()
}
