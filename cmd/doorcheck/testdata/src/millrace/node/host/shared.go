// Package host may use sync, and nothing else of the world.
package host

import (
	"os" // want "import of os"
	"sync"
	"sync/atomic"
	"time"
)

var mu sync.Mutex
var count atomic.Int64
var started = time.Now() // want "time.Now"
var _ = os.Args
