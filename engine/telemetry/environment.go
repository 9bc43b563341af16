package telemetry

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// protocol is how spans are sent.
type protocol string

const (
	protocolGRPC protocol = "grpc"
	protocolHTTP protocol = "http/protobuf"
)

// tracesSettings are what the environment says about traces. Endpoint, headers, timeouts
// and certificates are read by the exporter itself.
type tracesSettings struct {
	on       bool
	protocol protocol
	sampler  sdktrace.Sampler
}

// tracesFromEnvironment reads and checks the variables. They are checked while tracing is
// off too: a wrong one is found when it is written, not when it is needed.
func tracesFromEnvironment() (tracesSettings, error) {
	var s tracesSettings
	disabled, err := flagVariable("OTEL_SDK_DISABLED")
	if err != nil {
		return s, err
	}
	if s.sampler, err = samplerFromEnvironment(); err != nil {
		return s, err
	}
	if s.protocol, err = protocolFromEnvironment(); err != nil {
		return s, err
	}
	endpoint, err := hasEndpoint()
	if err != nil {
		return s, err
	}
	wanted := true
	switch exporter := variable("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		wanted = false
	default:
		return s, fmt.Errorf("OTEL_TRACES_EXPORTER must be otlp or none, not %q", exporter)
	}
	s.on = endpoint && wanted && !disabled
	return s, nil
}

// variable is the value of an environment variable; an empty one counts as unset.
func variable(name string) string { return strings.TrimSpace(os.Getenv(name)) }

func flagVariable(name string) (bool, error) {
	switch value := strings.ToLower(variable(name)); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("%s must be true or false, not %q", name, value)
	}
}

// hasEndpoint tells whether spans have somewhere to go. The value is not repeated in an
// error: it may hold credentials.
func hasEndpoint() (bool, error) {
	found := false
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		value := variable(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return false, fmt.Errorf("%s must be a URL that begins with http:// or https://", name)
		}
		found = true
	}
	return found, nil
}

func protocolFromEnvironment() (protocol, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch value := protocol(variable(name)); value {
		case "":
		case protocolGRPC, protocolHTTP:
			return value, nil
		default:
			return "", fmt.Errorf("%s must be grpc or http/protobuf, not %q", name, value)
		}
	}
	return protocolHTTP, nil
}

// samplerFromEnvironment follows the producer's decision, and samples where there is none,
// unless OTEL_TRACES_SAMPLER says otherwise.
func samplerFromEnvironment() (sdktrace.Sampler, error) {
	name := strings.ToLower(variable("OTEL_TRACES_SAMPLER"))
	if name == "" {
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), nil
	}
	root, followsParent := strings.CutPrefix(name, "parentbased_")
	var sampler sdktrace.Sampler
	switch root {
	case "always_on":
		sampler = sdktrace.AlwaysSample()
	case "always_off":
		sampler = sdktrace.NeverSample()
	case "traceidratio":
		ratio, err := samplerRatio()
		if err != nil {
			return nil, err
		}
		sampler = sdktrace.TraceIDRatioBased(ratio)
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER must be always_on, always_off, traceidratio, "+
			"or one of these with parentbased_ before it, not %q", name)
	}
	if followsParent {
		sampler = sdktrace.ParentBased(sampler)
	}
	return sampler, nil
}

func samplerRatio() (float64, error) {
	value := variable("OTEL_TRACES_SAMPLER_ARG")
	if value == "" {
		return 1, nil
	}
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG must be a ratio from 0 to 1, not %q", value)
	}
	return ratio, nil
}
