package config

import (
	"fmt"
	"strconv"
)

// CheckTopic says what is wrong with a topic's configs as a whole.
func (l Layers) CheckTopic(overrides Values) error {
	number := func(name string) int64 {
		s, _ := l.topic(TopicKey(name), overrides)
		n, _ := strconv.ParseInt(s.Value, 10, 64)
		return n
	}
	if least, most := number("min.compaction.lag.ms"), number("max.compaction.lag.ms"); least > most {
		return fmt.Errorf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most)
	}
	return nil
}
