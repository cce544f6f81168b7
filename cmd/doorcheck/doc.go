// Command doorcheck refuses code in simulated packages that sees the world past the door.
//
//	doorcheck [packages]        default ./...
//
// The simulator can only promise "same seed, same run" when everything that a room does passes through node/host:
// a goroutine that the scheduler did not start, a clock that it did not turn or a map that iterates in an order of
// its own makes a run that cannot be repeated, and one such place spoils every seed. doorcheck reports in simulated
// packages (the list is in rooms.go):
//
//   - go statements, channel types and operations, select, recover;
//   - imports that reach past the door: sync, os, net, syscall, crypto/rand, runtime and their like;
//   - functions that do so in packages that are otherwise welcome: time.Now, the global generators of math/rand,
//     iter.Pull, the timers of context, the default logger of log/slog;
//   - iteration over a map, by range or by maps.Keys and maps.Values, where the order could change what happens.
//
// A loop over a map is accepted when its body is plainly the same in every order (maprange.go says which bodies are),
// or when a comment on it or on the line above says why the order does not matter:
//
//	//door:ordered each partition is closed by itself, and closing has no effect that another sees
//	for _, p := range partitions {
//
// The reason is obligatory, and a comment that excuses nothing is reported as well, so that none outlives its loop.
//
// The analyzer has the form of golang.org/x/tools/go/analysis. The driver here is a small one of our own over
// "go list -export": the drivers of x/tools want modules that nothing else in this repository needs.
//
// The package's tests hold the repository to the rest of the house rules: which room may import which (imports_test.go)
// and the measures of the code itself (tidy_test.go).
//
// Exit status: 0 nothing found, 1 findings, 2 the packages could not be loaded.
package main
