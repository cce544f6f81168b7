package sim

import (
	"fmt"
	"slices"
	"time"
)

// Point is a kind of place at which a node can be made to die.
type Point int

// The points. Each counts from the arming of a crash.
const (
	PointYield   Point = iota // any yield
	PointSend                 // just after bytes were handed to the network
	PointWrite                // in the middle of a write to a file
	PointSync                 // in the middle of a sync of a file, a directory or the disk
	PointSynced               // just after one
	PointName                 // just after a name was made, moved or removed
	PointRemoved              // just after a file was removed
	pointKinds
)

var pointNames = [...]string{"yield", "send", "write", "sync", "synced", "name", "removed"}

func (p Point) String() string { return pointNames[p] }

// MarshalText is the point's name.
func (p Point) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a point's name.
func (p *Point) UnmarshalText(b []byte) error {
	i := slices.Index(pointNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("there is no point %q", b)
	}
	*p = Point(i)
	return nil
}

// CrashPoint says where a node dies: at the Count-th Point after it was armed.
type CrashPoint struct {
	Point Point
	Count uint64
	How   End
	Pause time.Duration // with Stall
}

func (c CrashPoint) String() string { return fmt.Sprintf("%s at %s %d", c.How, c.Point, c.Count) }

// Arm sets the crash point of the running process. It replaces one that has not struck.
func (n *Node) Arm(c CrashPoint) {
	if n.inc != nil {
		n.inc.crash, n.inc.armed = c, true
		n.inc.counts = [pointKinds]uint64{}
	}
}

// Disarm takes a crash point away.
func (n *Node) Disarm() {
	if n.inc != nil {
		n.inc.armed = false
	}
}

// reach counts a point and ends the node when it is the armed one. It returns only if the node lives. A
// node that is paused stops at its next yield.
func (inc *incarnation) reach(p Point) {
	if inc.armed && !inc.dead { // rarely; the rest is apart so that the compiler inlines this
		inc.count(p)
	}
}

func (inc *incarnation) count(p Point) {
	inc.counts[p]++
	if p != inc.crash.Point || inc.counts[p] < inc.crash.Count {
		return
	}
	inc.armed = false
	w := inc.node.world
	w.fired["point/"+p.String()]++
	if inc.crash.How == Stall {
		inc.node.Pause(inc.crash.Pause)
		return
	}
	inc.node.Crash(inc.crash.How)
	if t := w.current; t != nil && t.inc == inc {
		panic(killed)
	}
}
