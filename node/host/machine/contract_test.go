package machine

import (
	"testing"

	"millrace/node/host/hosttest"
)

func TestContract(t *testing.T) {
	hosttest.Run(t, func(t *testing.T) hosttest.World {
		h := newHost(t)
		return hosttest.World{Host: h, Name: "127.0.0.1", Run: func(f func()) {
			done := make(chan struct{})
			h.Tasks.Go("test", func() {
				defer close(done)
				f()
			})
			<-done
		}}
	})
}
