package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports of members are drawn from below those that systems give to outgoing connections: one
// that is free while its member is down must be free still when it comes back.
const (
	lowestDemoPort  = 20_000
	highestDemoPort = 30_000
	portTries       = 1_000
)

// drawPorts gives addresses on loopback that are free, for TCP and UDP, and all different.
func drawPorts(number int) (addresses []string, err error) {
	drawn := make(map[string]bool, number)
	for range portTries {
		if len(addresses) == number {
			return addresses, nil
		}
		port := lowestDemoPort + rand.IntN(highestDemoPort-lowestDemoPort) //nolint:gosec // no secret
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if !drawn[address] && free(address) {
			drawn[address] = true
			addresses = append(addresses, address)
		}
	}
	return nil, errors.New("no free ports on loopback")
}

func free(address string) bool {
	stream, err := net.Listen("tcp", address) //nolint:noctx // it returns at once
	if err != nil {
		return false
	}
	packets, err := net.ListenPacket("udp", address) //nolint:noctx // it returns at once
	if err != nil {
		_ = stream.Close() // it was not used
		return false
	}
	return errors.Join(stream.Close(), packets.Close()) == nil
}
