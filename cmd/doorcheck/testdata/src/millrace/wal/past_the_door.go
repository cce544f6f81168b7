// Package wal reaches past the door in every way that is forbidden.
package wal

import (
	"context"
	_ "crypto/rand" // want "import of crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"math/rand"
	randv2 "math/rand/v2"
	_ "net"      // want "import of net in"
	_ "net/http" // want "import of net/http"
	_ "net/netip"
	_ "os"          // want "import of os"
	_ "os/signal"   // want "import of os/signal"
	"sync"          // want "import of sync in"
	_ "sync/atomic" // want "import of sync/atomic"
	_ "syscall"     // want "import of syscall"
	"time"
)

var mu sync.Mutex

type inbox struct {
	c chan int // want "channel type"
}

func tasks(in inbox) {
	go fmt.Sprint("x") // want "go statement"
	in.c <- 1          // want "channel operation"
	<-in.c             // want "channel operation"
	for range in.c {   // want "channel operation"
	}
	close(in.c) // want "channel operation"
	select {    // want "select in a simulated package"
	default:
	}
	defer func() {
		_ = recover() // want "recover in a simulated package"
	}()
}

func clocks(ctx context.Context) time.Duration {
	start := time.Now()     // want "time.Now in a simulated package: host.Clock has Now and Wall"
	time.Sleep(time.Second) // want "time.Sleep"
	f := time.AfterFunc     // want "time.AfterFunc"
	_ = f
	_, _ = context.WithTimeout(ctx, 3*time.Second)   // want "context.WithTimeout"
	next, stop := iter.Pull(func(func(int) bool) {}) // want "iter.Pull"
	_, _ = next, stop
	return start.Sub(time.Unix(0, 0)) + 5*time.Millisecond
}

func draws() int {
	r := rand.New(rand.NewSource(1))
	v2 := randv2.New(randv2.NewPCG(1, 2))
	slog.Info("drawn")                                            // want "log/slog.Info"
	return r.Intn(4) + v2.IntN(4) + rand.Intn(4) + randv2.IntN(4) // want "math/rand.Intn draws" "math/rand/v2.IntN draws"
}
