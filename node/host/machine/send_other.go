//go:build !linux

package machine

import (
	"fmt"

	"millrace/node/host"
)

// Send copies file ranges through memory: sendfile with an explicit offset is used on Linux only.
func (c *conn) Send(parts ...host.Part) (int64, error) {
	var sent int64
	for _, p := range parts {
		b := p.Bytes
		if p.File != nil {
			b = make([]byte, p.Len)
			if n, err := p.File.ReadAt(b, p.Off); n < len(b) {
				return sent, fmt.Errorf("read %d bytes to send: %w", p.Len, err)
			}
		}
		n, err := c.c.Write(b)
		sent += int64(n)
		if err != nil {
			return sent, translateNet(err)
		}
	}
	return sent, nil
}
