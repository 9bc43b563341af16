// Package telemetry sets up what a member tells of itself: logs by slog, metrics by
// OpenTelemetry in the format of Prometheus, and traces by OTLP. It is the only package
// that imports the OpenTelemetry SDK; the others see its API. It decides no name of a
// metric or a span: those stand where they are counted and started.
//
// Invariants: without an endpoint for traces nothing of tracing runs; a variable with a
// wrong value refuses to start; no secret and no credentials of a URL leave in a log.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// serviceName is the name of the service where OTEL_SERVICE_NAME gives none.
const serviceName = "pannier"

// Options are what a Telemetry is made from. The rest comes from the standard OTEL_*
// variables of the environment.
type Options struct {
	ServiceVersion string
	Logger         *slog.Logger
}

// Telemetry holds the providers of one member. Safe for concurrent use.
type Telemetry struct {
	// TracerProvider makes spans; without an endpoint it makes none and costs nothing.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the instruments that MetricsHandler shows.
	MeterProvider metric.MeterProvider

	tracing  bool
	handler  http.Handler
	shutdown []func(context.Context) error
}

// Start sets metrics up, and traces where the environment names an endpoint. The context
// bounds the start only. An error names the variable that has a wrong value.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	settings, err := tracesFromEnvironment()
	if err != nil {
		return nil, err
	}
	about, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	listenToLibrary(o.Logger)
	t := &Telemetry{}
	if err := t.startMetrics(about, o.Logger); err != nil {
		return nil, err
	}
	if err := t.startTraces(ctx, settings, about, o.Logger); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// MetricsHandler answers /metrics.
func (t *Telemetry) MetricsHandler() http.Handler { return t.handler }

// Tracer is the tracer of a name, or nil where no spans are made: what is only done for
// them can be left out.
func (t *Telemetry) Tracer(name string) trace.Tracer {
	if !t.tracing {
		return nil
	}
	return t.TracerProvider.Tracer(name)
}

// Shutdown sends what waits and ends the providers, until ctx ends.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, shutdown := range t.shutdown {
		errs = append(errs, shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop telemetry: %w", err)
	}
	return nil
}

// describe is the resource: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	about, err := resource.New(
		ctx,
		resource.WithAttributes(semconv.ServiceName(serviceName), semconv.ServiceVersion(o.ServiceVersion)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}
