//go:build !linux

package machine

import "millrace/node/host"

// Send copies: sendfile with an explicit offset is used on Linux only.
func (c *conn) Send(parts ...host.Part) (int64, error) { return c.sendCopied(parts) }
