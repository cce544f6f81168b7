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

	// Of groups of the consumer protocol. A group may have times of its own, within the bounds.
	ConsumerSession        Bounds        // group.consumer.session.timeout.ms, .min., .max.
	ConsumerHeartbeat      Bounds        // group.consumer.heartbeat.interval.ms, .min., .max.
	ConsumerAssignment     Bounds        // group.consumer.assignment.interval.ms, .min., .max.
	ConsumerMaxSize        int           // group.consumer.max.size
	ConsumerAssignors      []string      // group.consumer.assignors, the first is the default
	ConsumerPatternRefresh time.Duration // group.consumer.regex.refresh.interval.ms
	ConsumerUpgrade        bool          // group.consumer.migration.policy: a classic group may become a consumer group
	ConsumerDowngrade      bool          // … and a consumer group a classic one
}

// Bounds are a time and what it may be at least and at most.
type Bounds struct{ Default, Min, Max time.Duration }

func (b Bounds) validate(check func(bool, string, ...any), name string) {
	check(b.Min >= 0 && b.Default >= b.Min && b.Default <= b.Max, "%s must be between its bounds %v and %v, it is %v",
		name, b.Min, b.Max, b.Default)
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
		ConsumerSession:          Bounds{45 * time.Second, 45 * time.Second, time.Minute},
		ConsumerHeartbeat:        Bounds{5 * time.Second, 5 * time.Second, 15 * time.Second},
		ConsumerAssignment:       Bounds{time.Second, 0, 15 * time.Second},
		ConsumerMaxSize:          1<<31 - 1,
		ConsumerAssignors:        []string{"uniform", "range"},
		ConsumerPatternRefresh:   10 * time.Minute,
		ConsumerUpgrade:          true,
		ConsumerDowngrade:        true,
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
	c.ConsumerSession.validate(check, "group.consumer.session.timeout.ms")
	c.ConsumerHeartbeat.validate(check, "group.consumer.heartbeat.interval.ms")
	c.ConsumerAssignment.validate(check, "group.consumer.assignment.interval.ms")
	check(c.ConsumerMaxSize >= 1, "group.consumer.max.size must be at least 1, it is %d", c.ConsumerMaxSize)
	check(len(c.ConsumerAssignors) > 0, "group.consumer.assignors must name an assignor")
	for _, name := range c.ConsumerAssignors {
		check(assignors[name] != nil, "group.consumer.assignors: there is no assignor %q", name)
	}
	check(c.ConsumerPatternRefresh > 0, "group.consumer.regex.refresh.interval.ms must be positive, it is %v", c.ConsumerPatternRefresh)
	return errors.Join(wrong...)
}
