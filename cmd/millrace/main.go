package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if command := firstWord(os.Args[1:]); command == "start" {
		relaxTimers()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// firstWord is the first argument that is no flag.
func firstWord(arguments []string) string {
	for _, a := range arguments {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}
