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
// answered (a single frame may go over the bound, so that a large one is never starved; small ones, up to a 256th of it, have
// an eighth more for themselves, so that large ones that are never finished do not stop them). Requests that are decoded into
// something larger than they are count plainCharge times, and have a smaller bound of their own (Options.Bulky,
// MaxPlainBytes). One connection may have Options.InFlightRequests requests waiting, and as many
// that were taken to be answered.
//
// What answers hold in memory until the client has taken them is bounded by Options.AnswerBytes. An answer that is known to
// be large (Weighed) waits for room; who can do with less reserves what there is (Budget.Reserve) and says so
// (Response.Charged).
//
// When somebody waits for either, the registry closes the connection that holds most of it while it keeps this end waiting,
// in the middle of a frame or of an answer, for Options.Patience: memory is for those who use it. A frame that stops arriving,
// or comes slower than 64 KiB a second for long, is given up in any case after Options.StallTimeout, and so is an answer that
// is not taken; a connection without requests after Options.IdleTimeout. An idle connection holds no buffer but 4 KiB.
//
// The registry lets in Options.MaxConnections connections, and MaxPerAddress from one address. With
// Options.AcceptRate it takes only so many in a second, a second's worth of them at once. Accepting goes on after it has
// failed, a little later each time: file descriptors may be short.
package server
