package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// relay is a second address of the broker that never goes away. kcat gives up when all its connections are down at once,
// which a user of several brokers hardly sees and a user of one sees at every restart; this stands for the other brokers.
// kcat asks it for metadata, and by that finds the broker itself, to which it produces directly.
//
// Requests are passed on one at a time and again until an answer comes back, so a client sees a slow broker, not a dead one.
type relay struct {
	listener net.Listener
	broker   string
}

func startRelay(ctx context.Context, broker string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{l, broker}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(ctx, c)
		}
	}()
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	var up net.Conn
	defer func() {
		if up != nil {
			up.Close()
		}
	}()
	for {
		request, err := readFrame(client)
		if err != nil {
			return
		}
		for {
			answer, err := ask(&up, r.broker, request)
			if err == nil {
				if _, err := client.Write(answer); err != nil {
					return
				}
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// ask sends a request over the connection, made anew when there is none, and returns the answer.
func ask(up *net.Conn, broker string, request []byte) (answer []byte, err error) {
	if *up == nil {
		if *up, err = net.Dial("tcp", broker); err != nil {
			*up = nil
			return nil, err
		}
	}
	if _, err = (*up).Write(request); err == nil {
		answer, err = readFrame(*up)
	}
	if err != nil {
		(*up).Close()
		*up = nil
	}
	return answer, err
}

// readFrame reads one of Kafka's frames, with its size.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(frame)
	if size > 100<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	frame = append(frame, make([]byte, size)...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}
