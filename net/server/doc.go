// Package server keeps client connections: it reads request frames, bounds what is in flight, and answers in order.
//
// # One connection, two tasks
//
// Each connection has a read task and a write task.
//
//	read task:   frame → Handler(Request) → queue of Finishers → next frame
//	write task:  Finisher.Finish → Conn.Send(parts) → Response.Release → release of the frame
//
// The Handler runs in the read task, in the order of arrival, and must only do what fixes that order (a produce puts its
// batches in line); what waits, a long poll or an acknowledgement, waits in Finish, in the write task. So pipelined
// produces overlap while the answers of one connection leave in the order of its requests, and a slow one delays only
// the later ones of its own connection.
//
// # A frame
//
//	+----------------+----------------+----------------+----------------------+------
//	| size, 4 bytes  | key, 2 bytes   | version, 2 b.  | correlation, 4 bytes | rest of header, body
//	+----------------+----------------+----------------+----------------------+------
//	                 |<-------------------- size bytes: Request.Frame --------------->
//
// All numbers are big-endian. The bytes after the size are read once, into one counted [host.Buffer] as long as the
// frame; who wants to keep a part of it (a batch on its way to the log) retains the buffer. A size below 8 or above
// Options.MaxFrameBytes closes the connection before anything is allocated.
//
// # Bounds
//
// The frames of all connections together may hold Options.InFlightBytes: above that nobody reads on until something is
// answered (a single frame may go over the bound, so that a large one is never starved). One connection may have
// Options.InFlightRequests requests waiting. A frame that stops arriving is given up after Options.StallTimeout, a
// connection without requests after Options.IdleTimeout. An idle connection holds no buffer but 4 KiB.
package server
