package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

func (s *Setting) write(codec string) (string, error) {
	topic, err := s.Topic("write-"+codec, partitions, nil)
	if err != nil {
		return "", err
	}
	var all []Record
	for i := range count {
		all = append(all, rule(topic, i, !s.suite.NoNulls))
		all[i].Offset = -1
	}
	if err := s.suite.Produce(Options{Codec: codec}, all); err != nil {
		return "", err
	}
	for i, r := range all {
		if err := Same(int64(i/partitions), r.Offset, fmt.Sprintf("the acknowledged offset of record %d", i)); err != nil {
			return "", err
		}
	}
	nulls := "nullheaders"
	if s.suite.NoNulls {
		nulls = "-"
	}
	fmt.Printf("wrote\t%s\t%s\t%s\n", topic, codec, nulls)
	return s.readRule(topic, !s.suite.NoNulls)
}

func (s *Setting) readRule(topic string, nulls bool) (string, error) {
	for p := range partitions {
		i := p
		err := s.each(topic, int32(p), count/partitions, func(r Record) error {
			want := rule(topic, i, nulls)
			i += partitions
			if s.suite.Blurs {
				want.Key, r.Key = append([]byte{}, want.Key...), append([]byte{}, r.Key...)
				want.Value, r.Value = append([]byte{}, want.Value...), append([]byte{}, r.Value...)
			}
			return different(want, r)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprint(count, " records"), nil
}

// each reads n records of a partition from its beginning.
func (s *Setting) each(topic string, partition int32, n int, fn func(Record) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reader, err := s.suite.Read(topic, partition, 0)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // it only read
	for i := range n {
		r, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("after %d records of partition %d: %w", i, partition, err)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Setting) large() (string, error) {
	topic, err := s.Topic("large", 1, nil)
	if err != nil {
		return "", err
	}
	const bigs, smalls = 3, 10_000
	var all []Record
	for n := range bigs {
		all = append(all, Record{Topic: topic, Value: bytes.Repeat([]byte{byte(n)}, 1_000_000), Millis: time.Now().UnixMilli()})
		if err := s.suite.Produce(Options{}, all[n:]); err != nil {
			return "", err
		}
	}
	err = s.suite.Produce(Options{}, []Record{{Topic: topic, Value: make([]byte, 2_000_000), Millis: time.Now().UnixMilli()}})
	if err == nil || !s.suite.TooLarge(err) {
		return "", fmt.Errorf("a record over max.message.bytes: %v", err)
	}
	for i := range smalls {
		all = append(all, Record{Topic: topic, Value: fmt.Appendf(nil, "small%d", i), Millis: time.Now().UnixMilli()})
	}
	if err := s.suite.Produce(Options{}, all[bigs:]); err != nil {
		return "", err
	}
	n := 0
	err = s.each(topic, 0, len(all), func(r Record) error {
		if r.Offset != int64(n) || !bytes.Equal(r.Value, all[n].Value) {
			return fmt.Errorf("record %d came out otherwise, at offset %d", n, r.Offset)
		}
		n++
		return nil
	})
	return fmt.Sprintf("%d records of 1,000,000 bytes, %d small ones, too large above", bigs, smalls), err
}

func (s *Setting) idempotent() (string, error) {
	topic, err := s.Topic("idempotent", 3, nil)
	if err != nil {
		return "", err
	}
	var all []Record
	for i := range 6000 {
		all = append(all, Record{Topic: topic, Partition: int32(i % 3), Value: []byte(strconv.Itoa(i)), Millis: time.Now().UnixMilli()})
	}
	if err := s.suite.Produce(Options{Idempotent: true, Batch: 1000}, all); err != nil {
		return "", err
	}
	for p := range 3 {
		next := p
		err := s.each(topic, int32(p), 2000, func(r Record) error {
			want := all[next]
			next += 3
			if r.Offset != want.Offset || r.Offset != int64(next/3-1) || string(r.Value) != string(want.Value) {
				return fmt.Errorf("offset %d has %q, acknowledged was %q at %d", r.Offset, r.Value, want.Value, want.Offset)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return "6,000 records in small batches, at the acknowledged offsets", nil
}

func (s *Setting) commit() (string, error) {
	topic, group := s.Reference+"-none", s.Prefix+"-commits"
	c, err := s.suite.Committed(group, topic, 1)
	if err := errors.Join(err, Same(Committed{Offset: -1}, c, "what is committed at first")); err != nil {
		return "", err
	}
	want := Committed{42, "noted: π ≈ 3.14"}
	if err := s.suite.Commit(group, topic, 1, want); err != nil {
		return "", err
	}
	c, err = s.suite.Committed(group, topic, 1)
	return "committed and fetched with metadata", errors.Join(err, Same(want, c, "what is committed"))
}

func (s *Setting) byTime() (string, error) {
	topic := s.Reference + "-none"
	for at, want := range map[int64]int64{0: 0, 2000: 0, 2001: 1, 299_000: 99, 299_001: -1} {
		got, err := s.suite.At(topic, 2, epoch+at)
		if err := errors.Join(err, Same(want, got, fmt.Sprintf("the offset at %d", at))); err != nil {
			return "", err
		}
	}
	first, end, err := s.suite.Ends(topic, 2)
	return "4 times found, none after the end; beginning and end", errors.Join(err, Same(0, first, "the beginning"), Same(100, end, "the end"))
}

// filling is what compaction has to clean: each of ten keys is written many times, one last of all without a value.
func (s *Setting) filling() []Record {
	var all []Record
	for i := range 200 {
		r := Record{Topic: s.Prefix + "-compacted", Key: fmt.Appendf(nil, "k%d", i%10), Value: fmt.Appendf(nil, "v%d", i), Millis: time.Now().UnixMilli()}
		if i == 199 {
			r.Value = nil
		}
		all = append(all, r)
	}
	return all
}

// fill: what is written first is looked at last.
func (s *Setting) fill() (string, error) {
	_, err := s.Topic("compacted", 1, map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"})
	if err != nil {
		return "", err
	}
	for all := s.filling(); len(all) > 0; all = all[20:] {
		if err := s.suite.Produce(Options{}, all[:20]); err != nil {
			return "", err
		}
	}
	return "200 records with 10 keys", s.endSegment()
}

// endSegment writes one more record: the newest segment is never cleaned, so this closes it.
func (s *Setting) endSegment() error {
	time.Sleep(300 * time.Millisecond)
	return s.suite.Produce(Options{}, []Record{{Topic: s.Prefix + "-compacted", Key: []byte("end"), Value: []byte("end"), Millis: time.Now().UnixMilli()}})
}

func (s *Setting) compacted() (string, error) {
	var left []Record
	err := within(90*time.Second, "only the last value of each key is left", func() (bool, error) {
		if err := s.endSegment(); err != nil {
			return false, err
		}
		left = left[:0]
		err := s.each(s.Prefix+"-compacted", 0, 201, func(r Record) error {
			if r.Offset >= 200 {
				return errEnd
			}
			left = append(left, r)
			return nil
		})
		if !errors.Is(err, errEnd) {
			return false, err
		}
		return len(left) <= 10, nil
	})
	if err != nil {
		return "", err
	}
	all := s.filling()
	for i, r := range left {
		want := all[190+i]
		if r.Offset != int64(190+i) || string(r.Key) != string(want.Key) || !sameBytes(r.Value, want.Value) {
			return "", fmt.Errorf("what is left has %q=%q at offset %d", r.Key, r.Value, r.Offset)
		}
	}
	return "10 of 200 records left, at their offsets, one a tombstone", Same(10, len(left), "the number of records left")
}

var errEnd = errors.New("the end is reached")
