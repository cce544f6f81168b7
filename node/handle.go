package node

import (
	"fmt"

	"millrace/net/server"
	"millrace/net/wire"
)

// handle is the server's Handler: it runs in a connection's read task, in the order of arrival. An API or version that
// is not served closes the connection, as in Kafka; ApiVersions alone answers to versions that it does not know.
func (b *Broker) handle(r server.Request) (server.Finisher, error) {
	route := b.lookup(r.Key)
	if route == nil {
		return nil, fmt.Errorf("API key %d is not served", r.Key)
	}
	c := &call{Request: r, broker: b, route: route, client: clientOf(r.Connection)}
	if !b.served.Has(r.Key, r.Version) {
		if r.Key != wire.KeyApiVersions {
			return nil, fmt.Errorf("version %d of %s is not served: %d to %d are",
				r.Version, route.api.Name, route.api.Min, route.api.Max)
		}
		var header wire.Reader
		header.Reset(r.Frame.Bytes())
		wire.ReadRequestHeader(&header)
		if err := header.Err(); err != nil {
			return nil, fmt.Errorf("decode the header of %s: %w", route.api.Name, err)
		}
		c.Version = 0
		c.finish = func() wire.Message { return b.served.UnsupportedVersion() }
		return c, nil
	}
	var body wire.Reader
	body.Reset(r.Frame.Bytes())
	if header := wire.ReadRequestHeader(&body); header.ClientID != nil {
		c.clientID = *header.ClientID
	}
	c.message = route.decode()
	c.message.Decode(&body, r.Version)
	if err := body.Err(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", route.api.Name, err)
	}
	if route.begin != nil {
		c.finish = route.begin(b, c, c.message)
	}
	return c, nil
}

// lookup returns the route of an API key, nil if there is none.
func (b *Broker) lookup(key int16) *route {
	if key < 0 || int(key) >= len(b.byKey) {
		return nil
	}
	return b.byKey[key]
}
