package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kcat is librdkafka by its command-line tool.
type kcat struct {
	path string
	p    *place
}

func installKcat(ctx context.Context) (runner, error) {
	path, err := exec.LookPath("kcat")
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, path, "-V").CombinedOutput()
	if err != nil {
		return nil, err
	}
	version := strings.Join(regexp.MustCompile(`Version ([0-9.]+)|(librdkafka [0-9.]+)`).FindAllString(string(out), 2), ", ")
	return func(ctx context.Context, p *place, r *report) {
		k := &kcat{path, p}
		r.is(strings.TrimPrefix(version, "Version "))
		for i, codec := range codecs {
			r.check(ctx, p, "records", "write "+codec, func(ctx context.Context) (string, error) { return k.write(ctx, codec) })
			r.check(ctx, p, "records", "read "+codec, func(ctx context.Context) (string, error) { return k.read(ctx, reference+"-"+codecs[i]) })
		}
		r.check(ctx, p, "idempotent", "order", k.idempotent)
		r.check(ctx, p, "groups", "eager", func(ctx context.Context) (string, error) { return k.group(ctx, "range") })
		r.check(ctx, p, "groups", "cooperative", func(ctx context.Context) (string, error) { return k.group(ctx, "cooperative-sticky") })
		r.check(ctx, p, "offsets", "by time", k.byTime)
		r.check(ctx, p, "admin", "metadata", k.metadata)
	}, nil
}

func (k *kcat) run(ctx context.Context, in string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.path, append([]string{"-b", k.p.brokers()}, args...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(in), &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kcat %s: %w: %.1000s", strings.Join(args, " "), err, said.String())
	}
	return string(out), err
}

// write sends what kcat can send: no timestamps and headers of their own for each record.
func (k *kcat) write(ctx context.Context, codec string) (string, error) {
	topic := "compat-kcat-" + codec
	if err := k.create(ctx, topic, rulePartitions); err != nil {
		return "", err
	}
	for p := range rulePartitions {
		var lines strings.Builder
		for i := p; i < ruleCount; i += rulePartitions {
			fmt.Fprintf(&lines, "k%d\tv%d-%s\n", i, i, strings.Repeat("x", i*37%500))
		}
		if _, err := k.run(ctx, lines.String(), "-P", "-t", topic, "-p", strconv.Itoa(p), "-K", "\t", "-z", codec, "-H", "h=one", "-H", "h=two"); err != nil {
			return "", err
		}
	}
	out, err := k.run(ctx, "", "-C", "-q", "-e", "-t", topic, "-o", "beginning", "-f", `%p %o %k %h %s\n`)
	if err != nil {
		return "", err
	}
	var want []string
	for i := range ruleCount {
		want = append(want, fmt.Sprintf("%d %d k%d h=one,h=two v%d-%s", i%rulePartitions, i/rulePartitions, i, i, strings.Repeat("x", i*37%500)))
	}
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if err := inOrder(got); err != nil {
		return "", err
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return "", fmt.Errorf("%d records came out, not the %d that went in: %.300q", len(got), len(want), got)
	}
	return fmt.Sprint(ruleCount, " records with keys and headers"), nil
}

// inOrder wants the offsets of each partition to follow each other in lines that begin with both.
func inOrder(lines []string) error {
	next := map[string]int{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		if len(f) < 3 || f[1] != strconv.Itoa(next[f[0]]) {
			return fmt.Errorf("not the next record of its partition: %.100q", l)
		}
		next[f[0]]++
	}
	return nil
}

func (k *kcat) create(ctx context.Context, topic string, partitions int) error {
	return onCluster(k.p, func(c *cluster) error { return createTopic(ctx, c, topic, partitions, k.p.factor, nil) })
}

// read compares all but the headers' values that are null, which kcat prints as empty.
func (k *kcat) read(ctx context.Context, topic string) (string, error) {
	out, err := k.run(ctx, "", "-C", "-q", "-e", "-t", topic, "-o", "beginning", "-J")
	if err != nil {
		return "", err
	}
	var next [rulePartitions]int
	n := 0
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); n++ {
		var r struct {
			Partition, Offset, TS int64
			Key, Payload          *string
			Headers               []*string
		}
		if err := d.Decode(&r); err != nil {
			return "", err
		}
		i := next[r.Partition]*rulePartitions + int(r.Partition)
		next[r.Partition]++
		want := ruleHeaders(i, true)
		ok := r.Offset == int64(i/rulePartitions) && r.TS == ruleEpoch+int64(i)*1000 && sameText(r.Key, ruleKey(i)) && sameText(r.Payload, ruleValue(i)) && len(r.Headers) == 2*len(want)
		for j := 0; ok && j < len(want); j++ {
			ok = *r.Headers[2*j] == want[j].Key && sameText(r.Headers[2*j+1], want[j].Value)
		}
		if !ok {
			return "", fmt.Errorf("record %d came out otherwise: %+v", i, r)
		}
	}
	if n != ruleCount {
		return "", fmt.Errorf("%d records came out, not %d", n, ruleCount)
	}
	return fmt.Sprint(n, " records"), nil
}

func sameText(got *string, want []byte) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	return *got == string(want)
}

func (k *kcat) idempotent(ctx context.Context) (string, error) {
	const topic, n = "compat-kcat-idempotent", 6000
	if err := k.create(ctx, topic, 1); err != nil {
		return "", err
	}
	var lines strings.Builder
	for i := range n {
		fmt.Fprintln(&lines, i)
	}
	if _, err := k.run(ctx, lines.String(), "-P", "-t", topic, "-p", "0", "-X", "enable.idempotence=true", "-X", "batch.num.messages=50"); err != nil {
		return "", err
	}
	out, err := k.run(ctx, "", "-C", "-q", "-e", "-t", topic, "-o", "beginning", "-f", `%s\n`)
	if err == nil && out != lines.String() {
		err = errors.New("the records came out otherwise")
	}
	return "6,000 records in batches of 50", err
}

func (k *kcat) byTime(ctx context.Context) (string, error) {
	for at, want := range map[int]string{0: "0", 2000: "0", 2001: "1", 299_000: "99", 299_001: "-1"} {
		topic := reference + "-none"
		out, err := k.run(ctx, "", "-Q", "-t", fmt.Sprintf("%s:2:%d", topic, ruleEpoch+at))
		if line := fmt.Sprintf("%s [2] offset %s\n", topic, want); err != nil || out != line {
			return "", fmt.Errorf("the offset at %d: %q, not %q: %w", at, out, line, err)
		}
	}
	return "4 times found, none after the end", nil
}

func (k *kcat) metadata(ctx context.Context) (string, error) {
	out, err := k.run(ctx, "", "-L", "-J", "-t", reference+"-none")
	if err != nil {
		return "", err
	}
	var m struct {
		Brokers []struct{ ID int }
		Topics  []struct {
			Topic      string
			Partitions []struct{ Partition, Leader int }
		}
	}
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		return "", err
	}
	if len(m.Brokers) != len(k.p.at) || len(m.Topics) != 1 || len(m.Topics[0].Partitions) != rulePartitions {
		return "", fmt.Errorf("the metadata: %s", out)
	}
	return "brokers, topic, partitions", nil
}

// follower is a kcat in a group: it prints what it reads, and says what it is assigned.
type follower struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	out  []string
	said []string
}

func (k *kcat) follow(ctx context.Context, group, topic, strategy string) (*follower, error) {
	f := &follower{cmd: exec.CommandContext(ctx, k.path, "-b", k.p.brokers(), "-G", group, topic, "-u", "-f", `%p %o %s\n`, "-X", "auto.offset.reset=earliest",
		"-X", "partition.assignment.strategy="+strategy, "-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=300", "-X", "auto.commit.interval.ms=200")}
	f.cmd.Stdout = &lineWriter{f: f, lines: &f.out}
	f.cmd.Stderr = &lineWriter{f: f, lines: &f.said}
	return f, f.cmd.Start()
}

// lineWriter takes lines apart.
type lineWriter struct {
	f     *follower
	lines *[]string
	rest  string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	all := strings.Split(w.rest+string(p), "\n")
	*w.lines = append(*w.lines, all[:len(all)-1]...)
	w.rest = all[len(all)-1]
	return len(p), nil
}

// read returns the lines that were printed since the last time.
func (f *follower) read() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.out
	f.out = nil
	return out
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.out)
}

// group: kcat tells assignments only as words for people, so who owns what is asked of the broker, by franz-go.
func (k *kcat) group(ctx context.Context, strategy string) (string, error) {
	topic := "compat-kcat-" + strategy
	group := topic + "-group"
	if err := k.create(ctx, topic, 6); err != nil {
		return "", err
	}
	a, err := k.follow(ctx, group, topic, strategy)
	if err != nil {
		return "", err
	}
	defer a.cmd.Process.Kill() //nolint:errcheck // it has ended, if all went well
	if err := k.settled(ctx, group, 6); err != nil {
		return "", err
	}
	if err := k.fed(ctx, topic, "alone", a); err != nil {
		return "", err
	}
	b, err := k.follow(ctx, group, topic, strategy)
	if err != nil {
		return "", err
	}
	defer b.cmd.Process.Kill() //nolint:errcheck // it has ended, if all went well
	if err := k.settled(ctx, group, 3, 3); err != nil {
		return "", err
	}
	if err := k.fed(ctx, topic, "both", a, b); err != nil {
		return "", err
	}
	if err := endFollower(a); err != nil {
		return "", err
	}
	if err := k.settled(ctx, group, 6); err != nil {
		return "", err
	}
	if err := k.fed(ctx, topic, "left", b); err != nil {
		return "", err
	}
	if err := endFollower(b); err != nil {
		return "", err
	}
	for p := range 6 {
		at, err := onClusterValue(k.p, func(c *cluster) (int64, error) { return committed(ctx, c, group, topic, int32(p)) })
		if err != nil || at != 15 {
			return "", fmt.Errorf("the committed offset of partition %d is %d, not 15: %w", p, at, err)
		}
	}
	return "6 partitions: 6, then 3 and 3, then 6; each record once; 15 committed", nil
}

func endFollower(f *follower) error {
	if err := f.cmd.Process.Signal(interrupt); err != nil {
		return err
	}
	return f.cmd.Wait()
}

// settled waits until the group is stable and its members own so many partitions each.
func (k *kcat) settled(ctx context.Context, group string, want ...int) error {
	return until(ctx, fmt.Sprintf("members with %v partitions", want), func() (bool, error) {
		return onClusterValue(k.p, func(c *cluster) (bool, error) {
			state, sizes, err := ownership(ctx, c, group)
			return state == "Stable" && slices.Equal(sizes, want), err
		})
	})
}

// fed writes 5 records to each partition, and wants the followers to read each once, all of a partition by one of them.
func (k *kcat) fed(ctx context.Context, topic, mark string, followers ...*follower) error {
	for p := range 6 {
		var lines strings.Builder
		for i := range 5 {
			fmt.Fprintf(&lines, "%s%d\n", mark, i)
		}
		if _, err := k.run(ctx, lines.String(), "-P", "-t", topic, "-p", strconv.Itoa(p)); err != nil {
			return err
		}
	}
	err := until(ctx, "30 records are read", func() (bool, error) {
		n := 0
		for _, f := range followers {
			n += f.count()
		}
		return n >= 30, nil
	})
	if err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // for what comes twice, and for the commits
	readers, seen := map[string]*follower{}, map[string]bool{}
	for _, f := range followers {
		for _, l := range f.read() {
			x := strings.Fields(l)
			if len(x) != 3 || !strings.HasPrefix(x[2], mark) || seen[l] || readers[x[0]] != nil && readers[x[0]] != f {
				return fmt.Errorf("%q was read twice, or by two, or is not of this round", l)
			}
			seen[l], readers[x[0]] = true, f
		}
	}
	if len(seen) != 30 {
		return fmt.Errorf("%d records were read, not 30", len(seen))
	}
	return nil
}
