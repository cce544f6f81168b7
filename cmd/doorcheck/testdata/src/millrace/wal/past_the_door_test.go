package wal

import (
	"math/rand"
	"os"
	"testing"
	"time"
)

func TestFiles(t *testing.T) {
	done := make(chan bool, 1)
	go func() { done <- true }()
	<-done
	for k := range map[string]int{"a": 1} {
		os.Remove(k)
	}
	_ = time.Now()
	_ = rand.Intn(3) // want "math/rand.Intn draws"
}
