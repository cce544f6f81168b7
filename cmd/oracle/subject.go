package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"millrace/net/wire"
)

// exchange is one request with its answer.
type exchange struct {
	suite, api, name string
	version          int16
	fields           []field
}

// subject is a broker that is asked.
type subject struct {
	name string
	addr string
	now  time.Time
	// exchanges are those that are compared, in order.
	exchanges []exchange
	trace     func(format string, args ...any)

	// Of the suite that runs:
	suite string
	conns map[string]*connection
	vars  variables
	names *names
}

// connection is one connection to a broker.
type connection struct {
	net.Conn
	next int32
	// pending is the request that was sent and not yet answered.
	pending *pending
}

type pending struct {
	step    *step
	version int16
	name    string
}

// patience is how long an answer is waited for.
const patience = 15 * time.Second

// run plays a suite.
func (s *subject) run(su suite) error {
	s.suite, s.conns, s.vars, s.names = su.name, map[string]*connection{}, variables{}, newNames(s.addr, s.now)
	s.vars["now"] = strconv.FormatInt(s.now.UnixMilli(), 10)
	defer func() {
		for _, c := range s.conns {
			c.Close()
		}
	}()
	for i := range su.steps {
		if err := s.play(&su.steps[i]); err != nil {
			return fmt.Errorf("%s, suite %s, %q: %w", s.name, su.name, su.steps[i].line, err)
		}
	}
	return nil
}

func (s *subject) play(st *step) error {
	switch st.verb {
	case "topic":
		return s.makeTopic(st.args)
	case "group":
		return s.awaitGroup(st.args)
	case "producers":
		return s.awaitProducerIDs()
	case "sleep":
		ms, err := strconv.Atoi(st.args[0])
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return err
	case "close":
		if c := s.conns[st.args[0]]; c != nil {
			c.Close()
			delete(s.conns, st.args[0])
		}
		return nil
	case "take":
		c := s.conns[st.conn]
		if c == nil || c.pending == nil {
			return errors.New("nothing was sent there")
		}
		return s.take(st.conn, c)
	}
	for _, version := range st.versions {
		s.vars["v"] = strconv.Itoa(int(version))
		c, err := s.send(st, version)
		if err != nil {
			return err
		}
		if st.verb != "send" {
			if err := s.take(st.conn, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// connect returns the connection of that name.
func (s *subject) connect(name string) (*connection, error) {
	if c := s.conns[name]; c != nil {
		return c, nil
	}
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn}
	s.conns[name] = c
	return c, nil
}

// send sends one request of a step.
func (s *subject) send(st *step, version int16) (*connection, error) {
	c, err := s.connect(st.conn)
	if err != nil {
		return nil, err
	}
	name, err := s.vars.expand(st.name)
	if err != nil {
		return nil, err
	}
	frame := st.frame
	c.next++
	if st.verb == "raw" {
		frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
	} else if frame, err = s.encode(st, version, c.next); err != nil {
		return nil, err
	}
	c.pending = &pending{st, version, name}
	c.SetDeadline(time.Now().Add(patience))
	_, err = c.Write(frame)
	return c, err
}

func (s *subject) encode(st *step, version int16, correlation int32) ([]byte, error) {
	m := wire.NewRequest(st.key)
	if err := s.vars.fill(reflect.ValueOf(m).Elem(), st.body); err != nil {
		return nil, err
	}
	if t := reflect.ValueOf(m).Elem().FieldByName("TimeoutMs"); t.IsValid() && st.body.(object).get("TimeoutMs") == nil {
		t.SetInt(10_000) // the protocol's default is often no time at all, with which Kafka does nothing
	}
	return encodeRequest(m, version, correlation)
}

func encodeRequest(m wire.Message, version int16, correlation int32) ([]byte, error) {
	client := "oracle"
	parts, err := wire.EncodeRequest(nil, wire.RequestHeader{APIVersion: version, CorrelationID: correlation, ClientID: &client}, m)
	var frame []byte
	for _, p := range parts {
		frame = append(frame, p.Bytes...)
	}
	return frame, err
}

// take reads the answer to what was sent on a connection, and notes it.
func (s *subject) take(name string, c *connection) error {
	p := c.pending
	c.pending = nil
	e := exchange{suite: s.suite, api: wire.Name(p.step.key), name: p.name, version: p.version}
	m, err := s.receive(c, p.step.key, p.version)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.fields = []field{{"answer", "none"}}
	case err != nil:
		e.fields = []field{{"answer", "the connection was closed"}}
		var undecodable errUndecodable
		if errors.As(err, &undecodable) {
			e.fields = []field{{"answer", "cannot be decoded: " + err.Error()}}
		}
	default:
		f := flattener{names: s.names}
		e.fields = append([]field{{"answer", "given"}}, f.answer(m)...)
	}
	s.exchanges = append(s.exchanges, e)
	if err != nil {
		c.Close()
		delete(s.conns, name)
	}
	if s.trace != nil {
		s.trace("%s: %s %s v%d | %s | %s", s.name, s.suite, e.api, e.version, e.name, show(e.fields))
	}
	if err == nil {
		for _, k := range p.step.keep {
			v, err := lookup(reflect.ValueOf(m).Elem(), k.path)
			if err != nil {
				return err
			}
			s.vars[k.name] = v
		}
	}
	return nil
}

func show(fields []field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, f.path+"="+f.value)
	}
	return strings.Join(parts, " ")
}

// errUndecodable is an answer that is not one of its API and version.
type errUndecodable struct{ error }

// receive reads an answer.
func (s *subject) receive(c *connection, key, version int16) (wire.Message, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 64<<20 {
		return nil, errUndecodable{fmt.Errorf("an answer of %d bytes", n)}
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(c, frame); err != nil {
		return nil, err
	}
	if key == wire.KeyApiVersions && len(frame) >= 6 && frame[4] == 0 && frame[5] == byte(wire.ErrUnsupportedVersion) {
		version = 0 // the one answer that every client must understand
	}
	_, m, err := wire.DecodeResponse(frame, key, version)
	if err != nil {
		return nil, errUndecodable{err}
	}
	return m, nil
}

// call asks something that is not compared.
func (s *subject) call(m wire.Message, version int16) (wire.Message, error) {
	c, err := s.connect("main")
	if err != nil {
		return nil, err
	}
	c.next++
	frame, err := encodeRequest(m, version, c.next)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(frame); err != nil {
		return nil, err
	}
	return s.receive(c, m.APIKey(), version)
}

// lookup finds a field of an answer, such as Topics[0].TopicId, as a script writes it.
func lookup(v reflect.Value, path string) (string, error) {
	for name := range strings.SplitSeq(path, ".") {
		name, index, isList := strings.Cut(name, "[")
		if v = v.FieldByName(name); !v.IsValid() {
			return "", fmt.Errorf("the answer has no %s", path)
		}
		if isList {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || i >= v.Len() {
				return "", fmt.Errorf("the answer has no %s", path)
			}
			v = v.Index(i)
		}
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return "", fmt.Errorf("%s is null", path)
			}
			v = v.Elem()
		}
	}
	switch x := v.Interface().(type) {
	case wire.UUID:
		return x.String(), nil
	case string:
		return x, nil
	}
	return fmt.Sprint(v.Interface()), nil
}
