package link

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
)

const (
	serviceName = "pannier.link.v1.Link"
	methodCarry = "/" + serviceName + "/Carry"
	methodCall  = "/" + serviceName + "/Call"

	// maxWireBytes bounds one message of gRPC, in both directions: an envelope, or a call with
	// its method.
	maxWireBytes = MaxEnvelopeBytes
	// streamWindow is a sender's credit: what a stream may carry that Receive has not taken yet,
	// and so what a stream holds in memory when Receive is slow. It is four full envelopes.
	streamWindow = 4 << 20
	// connWindow is the same for all streams of a connection, so that calls get through while
	// the stream of envelopes waits.
	connWindow = 16 << 20
	// maxStreams bounds what one connection asks for at once: its stream of envelopes and
	// calls. Further calls wait at the caller.
	maxStreams = 128
	// handshakeTimeout bounds how long a connection may stay a stranger.
	handshakeTimeout = 5 * time.Second
	// probesAtMostEvery is below keepaliveAfter: no peer of ours is taken for a flood.
	probesAtMostEvery = keepaliveAfter / 2
	// maxHeaderBytes bounds the header of a stream; ours are far below.
	maxHeaderBytes = 16 << 10
)

// pieces is one message on its way out: its parts one after the other, so that what comes
// before a payload costs no copy of it. A message that comes in is a []byte.
type pieces [][]byte

// rawCodec passes bytes through gRPC as they are.
type rawCodec struct{}

// Name implements encoding.CodecV2.
func (rawCodec) Name() string { return "pannier" }

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(pieces)
	if !ok {
		return nil, fmt.Errorf("marshal: not pieces but %T", v)
	}
	out := make(mem.BufferSlice, len(message))
	for i, piece := range message {
		out[i] = mem.SliceBuffer(piece)
	}
	return out, nil
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unmarshal: not bytes but %T", v)
	}
	*message = make([]byte, data.Len())
	data.CopyTo(*message) // gRPC uses its buffers again
	return nil
}

// serviceDesc is what a generated file would say.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: handleCall}},
	Streams:     []grpc.StreamDesc{{StreamName: "Carry", Handler: handleCarry, ClientStreams: true}},
}

func handleCarry(server any, stream grpc.ServerStream) error {
	return server.(*service).carry(stream) // what serve registered
}

// handleCall has the signature that gRPC asks for.
func handleCall(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, _ any) (any, error) {
		return server.(*service).call(ctx, request) // what serve registered
	}
	return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: server, FullMethod: methodCall}, handle)
}

// service is the side of a link that is dialled.
type service struct {
	options  Options
	logger   *slog.Logger
	notices  notices
	guard    guard
	grace    time.Duration
	ctx      context.Context // of the link
	listener *listener
	server   *grpc.Server
	running  sync.WaitGroup // serving, and streams
}

func serve(ctx context.Context, l *listener, id identity, o Options, grace time.Duration) *service {
	s := &service{options: o, logger: o.Logger, guard: guard{logger: o.Logger}, grace: grace, ctx: ctx, listener: l}
	s.options.Key = nil // it has done its work
	s.server = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(id.server())),
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(maxWireBytes), grpc.MaxSendMsgSize(maxWireBytes), grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveAfter, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: probesAtMostEvery, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.guard.unary), grpc.StreamInterceptor(s.guard.stream),
		grpc.WaitForHandlers(true),
	)
	s.server.RegisterService(&serviceDesc, s)
	s.running.Go(func() {
		if err := s.server.Serve(l); err != nil {
			s.logger.Error("link serves no more", "error", err)
		}
	})
	return s
}

// stop ends the service; the link's context is over, so streams end by themselves. Connections
// that are cut are those in a handshake and those with a call that outlasts the grace.
func (s *service) stop() {
	stopped := make(chan struct{})
	go func() {
		s.server.GracefulStop()
		close(stopped)
	}()
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		s.listener.cut()
		s.server.Stop()
		<-stopped
	}
	s.running.Wait()
}
