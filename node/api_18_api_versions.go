package node

import (
	"strings"

	"millrace/net/wire"
)

// apiVersions answers what this broker speaks (KIP-35, KIP-511, KIP-584).
//
// Versions: 3 names the client's software and tells features of the cluster; 4 also those whose lowest level is 0. A version that is not known
// here is answered in version 0 with UNSUPPORTED_VERSION and the range of this API alone, so that a newer client can
// ask again. The response header is version 0 always.
func (b *Broker) apiVersions(c *call, q *wire.ApiVersionsRequest) wire.Message {
	a := wire.NewApiVersionsResponse()
	if c.Version >= 3 {
		if !softwareName(q.ClientSoftwareName) || !softwareName(q.ClientSoftwareVersion) {
			a.ErrorCode = wire.ErrInvalidRequest
			return a
		}
		c.client.softwareName, c.client.softwareVersion = q.ClientSoftwareName, q.ClientSoftwareVersion
	}
	a.ApiKeys = b.served.ApiKeys()
	if c.Version >= 3 {
		tellFeatures(a, b.set.Catalog(), c.Version)
	}
	return a
}

// softwareName tells if a client's name or version is one (KIP-511): letters, digits, '-' and '.', the first and last
// a letter or digit.
func softwareName(s string) bool {
	if s == "" || strings.Trim(s, "-.") != s {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}
