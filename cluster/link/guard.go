package link

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guard keeps a panic while a peer is served from ending the process: it becomes a log line, a
// count and an internal error for that peer.
type guard struct {
	logger *slog.Logger
	panics atomic.Uint64
}

func (g *guard) run(method string, serve func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			g.panics.Add(1)
			g.logger.Error("serving a peer panicked", "method", method, "panic", reason, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "an internal error")
		}
	}()
	return serve()
}

func (g *guard) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	err = g.run(info.FullMethod, func() error {
		answer, err = handler(ctx, request)
		return err
	})
	return answer, err
}

func (g *guard) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return g.run(info.FullMethod, func() error { return handler(server, stream) })
}
