package members

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// logWriter takes memberlist's lines to the logger. Safe for concurrent use when the logger is.
type logWriter struct {
	logger *slog.Logger
	// life ends when nobody listens any more: memberlist ends a probe after it was shut down.
	life context.Context
}

// newLog is a log for memberlist, which begins its lines with a level and its own name.
func newLog(life context.Context, logger *slog.Logger) *log.Logger {
	return log.New(logWriter{logger, life}, "", 0)
}

// Write logs one line.
func (w logWriter) Write(line []byte) (int, error) {
	select {
	case <-w.life.Done():
		return len(line), nil
	default:
	}
	level, text := slog.LevelInfo, strings.TrimSpace(string(line))
	if inner, found := strings.CutPrefix(text, "["); found {
		if word, rest, found := strings.Cut(inner, "] "); found {
			level, text = levelOf(word), rest
		}
	}
	if strings.Contains(text, refusal) {
		level = slog.LevelDebug // logged once by the delegate; memberlist repeats it with every message
	}
	w.logger.Log(context.Background(), level, "memberlist", "text", strings.TrimPrefix(text, "memberlist: "))
	return len(line), nil
}

func levelOf(word string) slog.Level {
	switch word {
	case "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERR", "ERROR":
		return slog.LevelError
	}
	return slog.LevelInfo
}
