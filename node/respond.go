package node

import (
	"millrace/net/server"
	"millrace/net/wire"
)

// respond encodes the answer of a call as a frame.
func (c *call) respond(m wire.Message) server.Response {
	parts, err := wire.EncodeResponse(nil, c.Version, c.Correlation, m)
	if err != nil { // an answer that the protocol cannot say: too long a string
		c.broker.host.Log.Error("answer cannot be encoded", "api", c.route.api.Name, "error", err)
		return server.Response{Close: true}
	}
	return server.Response{Parts: parts}
}
