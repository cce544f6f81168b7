package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"millrace/node"
	"millrace/node/config"
	"millrace/node/host/machine"
)

// place is one node that is to run: its configuration, and what lies outside of it.
type place struct {
	config    node.Config
	data      string // as it was given
	http      string
	httpAsked bool
	profiles  bool
	// several says that this process runs more nodes, and nodes how many; then lines about a node say which.
	several bool
	nodes   int
	// certificates are of the connections between nodes, if there are any.
	certificates machine.Certificates
}

// places puts flags and properties file together, for each node that this process is to run.
func (o startOptions) places() ([]place, error) {
	fail := func(format string, args ...any) ([]place, error) {
		return nil, usageError{fmt.Errorf(format, args...), "millrace start"}
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fail("--listen %s: %w", o.listen, err)
	}
	if o.nodes != 1 {
		o.listenGiven = true // the ports of the nodes are made of it
	}
	properties, err := o.properties()
	if err != nil {
		return fail("%w", err)
	}
	if o.data, err = o.dataDirectory(properties); err != nil {
		return fail("%w", err)
	}
	if !o.listenGiven && properties["listeners"] != "" {
		o.listen = "" // the node finds it there
	}
	one := place{data: o.data, http: o.http, httpAsked: o.httpGiven, profiles: o.pprof, certificates: o.certificates}
	one.config = node.Config{
		Listen: o.listen, Advertise: o.advertise, DataDir: fullPath(o.data), PeerListen: o.peerListen, Rack: o.rack, Properties: properties,
	}
	if one.config.Secret, err = o.secret(properties["millrace.secret.file"]); err != nil {
		return fail("%w", err)
	}
	if one.config.Peers, err = parsePeers(o.peers); err != nil {
		return fail("--peers: %w", err)
	}
	if o.nodeID >= 0 { // by its property, since an id of 0 is one there
		properties["node.id"] = strconv.Itoa(o.nodeID)
		delete(properties, "broker.id")
	}
	switch {
	case (o.certificates.Certificate == "") != (o.certificates.Key == "") || (o.certificates.Certificate == "") != (o.certificates.Authority == ""):
		return fail("--peer-certificate, --peer-key and --peer-authority belong together")
	case o.nodes == 1:
		return []place{one}, nil
	case o.nodes != 3 && o.nodes != 5:
		return fail("--nodes %d: a cluster is made of one, three or five nodes", o.nodes)
	case len(o.peers) > 0 || o.nodeID >= 0 || o.advertise != "" || o.peerListen != "" || o.certificates.Key != "":
		return fail("--nodes makes the nodes, so --node-id, --peers, --peer-listen, --peer-certificate and --advertise have no place beside it")
	}
	if _, err := os.Stat(filepath.Join(o.data, "meta")); err == nil {
		return fail("--data %s: a single node keeps its data there; choose another directory for the nodes of a cluster", o.data)
	}
	return o.clusterHere(one)
}

// clusterHere makes the places of a cluster in this process: directories below the one given, ports one after the other,
// peers on free ports of this machine.
func (o startOptions) clusterHere(one place) ([]place, error) {
	var peers []node.Peer
	for i := range o.nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port for node %d: %w", i+1, err)
		}
		defer l.Close() // held until all are chosen, so that no two are the same
		peers = append(peers, node.Peer{Node: int32(i + 1), Addr: l.Addr().String()})
	}
	var all []place
	for i := range o.nodes {
		p := one
		id := strconv.Itoa(i + 1)
		p.several, p.nodes, p.data = true, o.nodes, filepath.Join(o.data, id)
		p.config.NodeID, p.config.Peers, p.config.DataDir = int32(i+1), peers, fullPath(p.data)
		if o.rack == "" {
			p.config.Rack = "rack-" + id // so that reading from the nearest replica can be tried, too
		}
		var err error
		if p.config.Listen, err = portAfter(o.listen, i); err != nil {
			return nil, usageError{fmt.Errorf("--listen %s: %w", o.listen, err), "millrace start"}
		}
		if o.http != "" {
			if p.http, err = portAfter(o.http, i); err != nil {
				return nil, usageError{fmt.Errorf("--http %s: %w", o.http, err), "millrace start"}
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// portAfter is an address with a port so much higher; port 0 stays.
func portAfter(addr string, n int) (string, error) {
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("port %q is not a number", port)
	}
	if p != 0 {
		p += uint64(n)
	}
	if p > 65535 {
		return "", fmt.Errorf("there is no port %d", p)
	}
	return net.JoinHostPort(name, strconv.FormatUint(p, 10)), nil
}

// properties puts broker configs together: those of the command line win over those of the environment, which win over
// those of the properties file.
func (o startOptions) properties() (map[string]string, error) {
	properties := map[string]string{}
	if o.config != "" {
		text, err := os.ReadFile(o.config)
		if err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
		if properties, err = config.ParseProperties(text); err != nil {
			return nil, fmt.Errorf("--config %s: %w", o.config, err)
		}
		if _, _, err := config.CheckProperties(properties); err != nil {
			return nil, fmt.Errorf("--config %s: %w", o.config, err)
		}
	}
	maps.Copy(properties, o.variables)
	for _, override := range o.overrides {
		name, value, ok := strings.Cut(override, "=")
		name = strings.TrimSpace(name)
		if !ok {
			return nil, fmt.Errorf("--override %s: not NAME=VALUE", override)
		}
		if config.BrokerKey(name) == nil && config.ForeignKey(name) == nil {
			if meant := config.Nearest(name, config.Names(config.BrokerKeys())); meant != "" {
				return nil, fmt.Errorf("--override %s: there is no broker config of that name; did you mean %s?", override, meant)
			}
			return nil, fmt.Errorf("--override %s: there is no broker config of that name; see `millrace config names broker`", override)
		}
		properties[name] = value
	}
	return properties, nil
}

// dataDirectory is --data, or the log.dirs of the properties.
func (o startOptions) dataDirectory(properties map[string]string) (string, error) {
	dirs := properties["log.dirs"]
	if dirs == "" {
		dirs = properties["log.dir"]
	}
	switch {
	case o.dataGiven || dirs == "":
		return o.data, nil
	case strings.Contains(dirs, ","):
		return "", fmt.Errorf("log.dirs=%s: a node has one data directory", dirs)
	}
	return strings.TrimSpace(dirs), nil
}

// leastSecret is how short a secret may be: what a person can guess is none.
const leastSecret = 8

// secret reads the secret of the cluster, without the line's end that editors put behind it; nil when there is none.
func (o startOptions) secret(property string) ([]byte, error) {
	name := o.secretFile
	if name == "" {
		name = property
	}
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if len(secret) < leastSecret {
		return nil, fmt.Errorf("secret file %s: %d bytes are not enough; make one with `head -c 32 /dev/urandom | base64 > %s`", name, len(secret), name)
	}
	return []byte(secret), nil
}

// parsePeers reads a list of ID@HOST:PORT.
func parsePeers(list []string) ([]node.Peer, error) {
	var peers []node.Peer
	for _, entry := range list {
		p, err := node.ParsePeer(entry)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
	}
	return peers, nil
}

// fullPath is a data directory as people and DescribeLogDirs are told.
func fullPath(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}
