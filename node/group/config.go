package group

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the broker configurations that the coordinator obeys. In the comments: Kafka's names.
type Config struct {
	MinSessionTimeout     time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout     time.Duration // group.max.session.timeout.ms
	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms; 0 starts the first generation at once
	MaxSize               int           // group.max.size, members of one group
	// NewMemberJoinTimeout bounds how long a member that has never been in a generation may wait for its first one,
	// since it sends no heartbeats meanwhile. Kafka has it as a constant.
	NewMemberJoinTimeout     time.Duration
	OffsetMetadataMaxBytes   int           // offset.metadata.max.bytes
	OffsetsRetention         time.Duration // offsets.retention.minutes
	OffsetsRetentionInterval time.Duration // offsets.retention.check.interval.ms
}

// DefaultConfig returns Kafka's defaults.
func DefaultConfig() Config {
	return Config{
		MinSessionTimeout:        6 * time.Second,
		MaxSessionTimeout:        30 * time.Minute,
		InitialRebalanceDelay:    3 * time.Second,
		MaxSize:                  1<<31 - 1,
		NewMemberJoinTimeout:     5 * time.Minute,
		OffsetMetadataMaxBytes:   4096,
		OffsetsRetention:         7 * 24 * time.Hour,
		OffsetsRetentionInterval: 10 * time.Minute,
	}
}

// Validate says what is wrong with the configuration, all of it in one error.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(c.MinSessionTimeout > 0, "group.min.session.timeout.ms must be positive, it is %v", c.MinSessionTimeout)
	check(c.MaxSessionTimeout >= c.MinSessionTimeout, "group.max.session.timeout.ms (%v) is below group.min.session.timeout.ms (%v)",
		c.MaxSessionTimeout, c.MinSessionTimeout)
	check(c.InitialRebalanceDelay >= 0, "group.initial.rebalance.delay.ms must not be negative, it is %v", c.InitialRebalanceDelay)
	check(c.MaxSize >= 1, "group.max.size must be at least 1, it is %d", c.MaxSize)
	check(c.NewMemberJoinTimeout > 0, "the join timeout of new members must be positive, it is %v", c.NewMemberJoinTimeout)
	check(c.OffsetMetadataMaxBytes >= 0, "offset.metadata.max.bytes must not be negative, it is %d", c.OffsetMetadataMaxBytes)
	check(c.OffsetsRetention > 0, "offsets.retention.minutes must be positive, it is %v", c.OffsetsRetention)
	check(c.OffsetsRetentionInterval > 0, "offsets.retention.check.interval.ms must be positive, it is %v", c.OffsetsRetentionInterval)
	return errors.Join(wrong...)
}
