package shard

import (
	"context"
	"fmt"
	"log/slog"
)

// logger gives raft's messages to the node's log. What raft calls information is debugging here. A panic of raft's is an
// invariant that broke: the node's death.
type logger struct{ log *slog.Logger }

func (l logger) print(level slog.Level, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprint(v...))
	}
}

func (l logger) printf(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, v...))
	}
}

func (l logger) Debug(v ...any)                   { l.print(slog.LevelDebug, v) }
func (l logger) Debugf(format string, v ...any)   { l.printf(slog.LevelDebug, format, v) }
func (l logger) Info(v ...any)                    { l.print(slog.LevelDebug, v) }
func (l logger) Infof(format string, v ...any)    { l.printf(slog.LevelDebug, format, v) }
func (l logger) Warning(v ...any)                 { l.print(slog.LevelWarn, v) }
func (l logger) Warningf(format string, v ...any) { l.printf(slog.LevelWarn, format, v) }
func (l logger) Error(v ...any)                   { l.print(slog.LevelError, v) }
func (l logger) Errorf(format string, v ...any)   { l.printf(slog.LevelError, format, v) }
func (l logger) Fatal(v ...any)                   { panic(fmt.Sprint(v...)) }
func (l logger) Fatalf(format string, v ...any)   { panic(fmt.Sprintf(format, v...)) }
func (l logger) Panic(v ...any)                   { panic(fmt.Sprint(v...)) }
func (l logger) Panicf(format string, v ...any)   { panic(fmt.Sprintf(format, v...)) }
