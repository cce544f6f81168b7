// Package sim may run goroutines but must repeat itself.
package sim

import (
	"math/rand"
	"sync"
	"time"
)

func run(m map[string]int, wg *sync.WaitGroup) {
	go wg.Wait()
	_ = time.Now()
	_ = rand.Int()     // want "math/rand.Int draws"
	for k := range m { // want "the order of this map"
		println(k)
	}
}
