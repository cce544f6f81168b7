package trial

import "time"

// realTime is only for telling how fast a trial was; nothing in it may depend on this.
func realTime() time.Time { return time.Now() }
