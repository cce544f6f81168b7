package node

import (
	"time"

	"millrace/net/server"
	"millrace/net/wire"
	"millrace/node/host"
	"millrace/node/shard"
)

// call is one request on its way: decoded, handled, answered. It belongs to the connection's write task once the
// read task has queued it.
type call struct {
	server.Request
	broker  *Broker
	route   *route
	client  *client
	message wire.Message
	// clientID is what the client calls itself in the request header; "" when it is null.
	clientID string
	// waiter is the write task's. It is woken when the call is ending; wakes may come without reason.
	waiter host.Waiter
	// finish is what the second stage of a staged route does; nil for the others.
	finish func() wire.Message
	// hangUp makes the connection close instead of answering.
	hangUp bool
	// held is released after the answer was sent: what its parts refer to.
	held []releaser

	// begun is when the write task came to the call, ready when its answer was. waited is the time between the two in which
	// it waited for something else, times when what it put into the log came how far.
	begun, ready host.Instant
	waited       time.Duration
	times        shard.Times
	// charged is how much of what the answer holds in memory is charged to the budget of answers already.
	charged int64
}

type releaser interface{ Release() }

// now is the monotonic clock of the node.
func (c *call) now() host.Instant { return c.broker.host.Clock.Now() }

// ending reports that the client has gone or the node is stopping: who waits should answer with what there is.
func (c *call) ending() bool { return c.Connection.Closing() }

// hold keeps what the answer refers to until it has been sent.
func (c *call) hold(pin releaser) { c.held = append(c.held, pin) }

// freeFrame gives the request's frame back before a long wait. Byte fields of the message must not be used afterwards.
func (c *call) freeFrame() {
	if c.Frame != nil {
		c.Frame.Release()
		c.Frame = nil
	}
}

// await waits for a future in the write task. It returns false at the deadline, or when the call is ending.
func await[T any](c *call, f *host.Future[T], deadline host.Instant) (T, bool) {
	return waitFor(c, f, deadline, c.ending)
}

// outlast is await that goes on when the call is ending: for what will come soon and whose outcome the client needs.
func outlast[T any](c *call, f *host.Future[T], deadline host.Instant) (T, bool) {
	return waitFor(c, f, deadline, func() bool { return false })
}

// waitFor waits for a future with the write task's waiter, until the deadline or until giveUp says so after a wake.
func waitFor[T any](c *call, f *host.Future[T], deadline host.Instant, giveUp func() bool) (T, bool) {
	if v, ok := f.Try(); ok {
		return v, true
	}
	f.Watch(c.waiter)
	defer c.waits(c.now())
	for {
		if v, ok := f.Try(); ok {
			return v, true
		}
		if giveUp() || !c.waiter.WaitUntil(deadline) {
			return f.Try()
		}
	}
}

// waits counts the time since an instant as waited.
func (c *call) waits(since host.Instant) { c.waited += c.now().Sub(since) }

// Finish answers the call. It runs in the write task.
func (c *call) Finish(w host.Waiter) server.Response {
	c.waiter, c.begun = w, c.now()
	var answer wire.Message
	if c.finish != nil {
		answer = c.finish()
	} else {
		answer = c.route.handle(c.broker, c, c.message)
	}
	c.ready = c.now()
	c.route.numbers.observe(c)
	if c.hangUp || answer == nil {
		return server.Response{Close: c.hangUp, Charged: c.charged}
	}
	parts, err := wire.EncodeResponse(c.client.scratch[:0], c.Version, c.Correlation, answer)
	if err != nil { // an answer that the protocol cannot say: too long a string
		c.broker.host.Log.Error("answer cannot be encoded", "api", c.route.api.Name, "error", err)
		return server.Response{Close: true, Charged: c.charged}
	}
	c.route.numbers.weigh(parts)
	return server.Response{Parts: parts, Charged: c.charged}
}

// Weight is about what the answer will take in memory: as much as large ones of the API took lately. Fetches, which may wait
// for long, charge what they find when they find it.
func (c *call) Weight() int64 {
	if c.route.api.Key == wire.KeyFetch {
		return 0
	}
	return c.route.numbers.weight.Load()
}

// Drop gives the call up.
func (c *call) Drop() {}

// Done releases what the answer held, and the frame.
func (c *call) Done() {
	if c.ready != 0 {
		c.route.numbers.sent(c)
	}
	for _, pin := range c.held {
		pin.Release()
	}
	c.held = nil
	c.freeFrame()
}
