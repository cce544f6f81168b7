package machine

import (
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"millrace/node/host"
)

// sendfileFrom is the least length of a file range that goes out by sendfile; shorter ones are read into memory and
// leave with the bytes around them in one call. See docs/performance.md for what was measured.
const sendfileFrom = 16 << 10

// sendfileMost bounds one call, so that a deadline is looked at now and then.
const sendfileMost = 1 << 20

// readAheadFrom is the length of a range from which the kernel is told what comes. Segments are not in the page cache when
// they are read for the first time.
const readAheadFrom = 128 << 10

// readAhead is how far beyond such a range the kernel is asked to read where it does not go far by itself: who reads much
// goes on behind it, and the disk works while the client does.
const readAhead = 4 << 20

// Send puts the parts on the wire. Runs of bytes leave by one sendmsg, marked MSG_MORE when a file range follows, so
// that a header and the start of its records share a segment. File ranges leave by sendfile with an explicit offset: the
// file's own position, which Go's ReadFrom would move, is shared by all readers of the file.
func (c *conn) Send(parts ...host.Part) (int64, error) {
	var sent int64
	var run [8][]byte
	bytes := run[:0]
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Size() == 0:
		case p.File == nil:
			bytes = append(bytes, p.Bytes)
		case p.Len < sendfileFrom:
			b := make([]byte, p.Len)
			if n, err := p.File.ReadAt(b, p.Off); n < len(b) {
				return sent, fmt.Errorf("read %d bytes to send: %w", p.Len, err)
			}
			bytes = append(bytes, b)
		default:
			n, err := c.sendBytes(bytes, unix.MSG_MORE)
			if sent += n; err != nil {
				return sent, err
			}
			bytes = bytes[:0]
			n, err = c.sendFile(p)
			if sent += n; err != nil {
				return sent, err
			}
		}
	}
	n, err := c.sendBytes(bytes, 0)
	return sent + n, err
}

func (c *conn) sendBytes(slices [][]byte, flags int) (int64, error) {
	var sent int64
	var failed error
	for len(slices) > 0 && failed == nil {
		err := c.raw.Write(func(fd uintptr) bool {
			for len(slices) > 0 {
				batch := slices[:min(len(slices), 1024)]
				n, err := unix.SendmsgBuffers(int(fd), batch, nil, nil, flags|unix.MSG_NOSIGNAL)
				switch err {
				case nil:
					sent += int64(n)
					slices = skip(slices, n)
				case unix.EAGAIN:
					return false
				case unix.EINTR:
				default:
					failed = fmt.Errorf("send: %w", translateNet(err))
					return true
				}
			}
			return true
		})
		if err != nil {
			return sent, translateNet(err)
		}
	}
	return sent, failed
}

func (c *conn) sendFile(p *host.Part) (int64, error) {
	f, ok := p.File.(*file)
	if !ok {
		return 0, fmt.Errorf("send a range of a file that is not of this machine: %T", p.File)
	}
	defer runtime.KeepAlive(f)
	f.advise(p.Off, p.Len)
	var sent int64
	var failed error
	off := p.Off
	for sent < p.Len && failed == nil {
		err := c.raw.Write(func(fd uintptr) bool {
			for sent < p.Len {
				n, err := unix.Sendfile(int(fd), f.fd, &off, int(min(p.Len-sent, sendfileMost)))
				switch {
				case err == unix.EAGAIN:
					return false
				case err == unix.EINTR:
				case err != nil:
					failed = fmt.Errorf("send a range of a file: %w", translateNet(err))
					return true
				case n == 0:
					failed = fmt.Errorf("send a range of a file: %w", io.ErrUnexpectedEOF)
					return true
				default:
					sent += int64(n)
				}
			}
			return true
		})
		if err != nil {
			return sent, translateNet(err)
		}
	}
	return sent, failed
}

// advise tells the kernel of a range that will be read, and that more will be behind it. What the kernel reads ahead by
// itself it puts into large pages, which costs half the CPU of what it is asked for; but on most devices as they come it
// reads no more than 128 KiB ahead. An error only means that it is slower.
func (f *file) advise(off, length int64) {
	switch {
	case length < readAheadFrom:
	case f.farAhead:
		_ = unix.Fadvise(f.fd, 0, 0, unix.FADV_SEQUENTIAL) // twice as far as the device is set to
	default:
		_ = unix.Fadvise(f.fd, off, length+readAhead, unix.FADV_WILLNEED)
	}
}
