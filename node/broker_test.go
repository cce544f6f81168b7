package node

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// testConfig is a small node on a free port.
func testConfig() Config {
	return Config{
		Listen: "127.0.0.1:0", Lanes: 2,
		WALFileBytes: 4 << 20, WALFirstBytes: 1 << 20, WALMaxBytes: 64 << 20,
	}
}

// startBroker runs a node in dir until the test ends or stop is called.
func startBroker(t testing.TB, dir string, c Config) (b *Broker, stop func()) {
	t.Helper()
	b, end := startBrokerToEnd(t, dir, c)
	return b, func() { end((*Broker).Stop) }
}

// startBrokerToEnd is startBroker for who wants to say how the node ends.
func startBrokerToEnd(t testing.TB, dir string, c Config) (b *Broker, end func(func(*Broker) error)) {
	t.Helper()
	level := slog.LevelError
	if os.Getenv("MILLRACE_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	h, wait, err := machine.New(machine.Options{
		Dir: dir, Poison: true, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Start(h, c); err != nil {
		t.Fatal(err)
	}
	stopped := false
	end = func(how func(*Broker) error) {
		if stopped {
			return
		}
		stopped = true
		if err := how(b); err != nil {
			t.Errorf("stop: %v", err)
		}
		wait()
		if n := h.Buffers.Out(); n != 0 {
			t.Errorf("%d bytes of buffers are still held after Stop", n)
		}
	}
	t.Cleanup(func() { end((*Broker).Close) })
	return b, end
}

func newBroker(t testing.TB) *Broker {
	b, _ := startBroker(t, t.TempDir(), testConfig())
	return b
}

func newClient(t testing.TB, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func makeTopic(t testing.TB, cl *kgo.Client, name string, partitions int32, configs ...string) {
	t.Helper()
	m := make(map[string]*string)
	for i := 0; i+1 < len(configs); i += 2 {
		m[configs[i]] = &configs[i+1]
	}
	r, err := kadm.NewClient(cl).CreateTopic(testContext(t), partitions, 1, m, name)
	if err != nil || r.Err != nil {
		t.Fatalf("create %s: %v %v %s", name, err, r.Err, r.ErrMessage)
	}
}

func TestProduceConsumeRestart(t *testing.T) {
	dir := t.TempDir()
	b, stop := startBroker(t, dir, testConfig())
	cl := newClient(t, b, kgo.DefaultProduceTopic("t"))
	makeTopic(t, cl, "t", 3)
	ctx := testContext(t)
	for i := range 100 {
		if err := cl.ProduceSync(ctx, &kgo.Record{Key: []byte{byte(i)}, Value: []byte{byte(i)}}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cl.Close()
	stop()
	b, _ = startBroker(t, dir, testConfig())
	cl = newClient(t, b, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := make(map[byte]bool)
	for len(seen) < 100 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[r.Value[0]] {
				t.Errorf("record %d twice", r.Value[0])
			}
			seen[r.Value[0]] = true
		})
	}
}

func TestListenersWithoutPlaintextAreRefused(t *testing.T) {
	for _, c := range []struct {
		listeners, want string
		refused         bool
	}{
		{"PLAINTEXT://127.0.0.1:9092", "127.0.0.1:9092", false},
		{"CONTROLLER://:9093, PLAINTEXT://:9092", ":9092", false},
		{"", "127.0.0.1:9092", false},
		{"SSL://:9092", "", true},
		{"SASL_PLAINTEXT://:9092,CONTROLLER://:9093", "", true},
	} {
		var config Config
		config.Properties = map[string]string{"listeners": c.listeners}
		_, err := config.properties(host.Host{Log: slog.New(slog.DiscardHandler)})
		if (err != nil) != c.refused || !c.refused && config.Listen != c.want {
			t.Errorf("%q: listens on %q, %v", c.listeners, config.Listen, err)
		}
	}
}
