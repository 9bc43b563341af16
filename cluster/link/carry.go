package link

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"pannier/cluster/placement"
)

// carry serves one stream of envelopes until it breaks, its peer misbehaves or the link is
// closed. Closing must not wait for the next envelope, and gRPC ends a stream when its handler
// returns; so the envelopes are taken in on a goroutine of their own.
func (s *service) carry(stream grpc.ServerStream) error {
	from, err := caller(stream.Context())
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	s.running.Go(func() {
		ended <- s.guard.run(methodCarry, func() error { return s.receive(stream, from) })
	})
	select {
	case err := <-ended:
		return err
	case <-s.ctx.Done():
		return status.Error(codes.Unavailable, "closing")
	}
}

func (s *service) receive(stream grpc.ServerStream, from placement.MemberID) error {
	for {
		var b []byte
		if err := stream.RecvMsg(&b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err //nolint:wrapcheck // a status
		}
		if s.ctx.Err() != nil {
			return status.Error(codes.Unavailable, "closing")
		}
		if err := s.take(b, from); err != nil {
			return err
		}
	}
}

// take gives an envelope on, passes over one that a newer version understands, and ends the
// stream, by its error, at one that no sound member sends.
func (s *service) take(b []byte, from placement.MemberID) error {
	e, err := Decode(b)
	if unknown, ok := errors.AsType[UnknownKindError](err); ok {
		// The sender never learns that it arrived and says it again and again, to this member
		// alone, until one of the two is upgraded.
		if s.notices.first(unknown.Error()) {
			s.logger.Warn("message of unknown kind refused: the sender's version is newer", "member", from, "kind", unknown.Kind)
		}
		return nil
	}
	if err != nil {
		if s.notices.first("damaged from " + string(from)) {
			s.logger.Error("damaged envelope refused", "member", from, "error", err)
		}
		return status.Error(codes.InvalidArgument, "damaged envelope")
	}
	if e.From != from {
		if s.notices.first("false sender " + string(from)) {
			s.logger.Error("envelope in another member's name refused", "member", from, "claimed", e.From)
		}
		return status.Error(codes.PermissionDenied, "envelope in another member's name")
	}
	s.options.Receive(e)
	return nil
}

// caller is the member at the other end of a connection, as its certificate proves.
func caller(ctx context.Context) (placement.MemberID, error) {
	if p, ok := grpcpeer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			if id, err := memberOf(info.State.PeerCertificates[0]); err == nil {
				return id, nil
			}
		}
	}
	return "", status.Error(codes.Unauthenticated, "no member's certificate")
}
