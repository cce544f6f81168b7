package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/node/host"
	"millrace/sim/client"
)

// Transfer is an entry of the ledger's log: an amount goes from one account to another.
type Transfer struct {
	ID     string
	From   string
	To     string
	Amount int64
}

// Accounts is the state machine: what the log says, from its beginning up to an offset. It is pure: who reads the same
// log has the same accounts.
type Accounts struct {
	Balance map[string]int64
	Done    map[string]bool // the transfers that are in, by their ids
	Refused map[string]bool // those for which there was not enough
	Next    int64           // the offset of the entry that comes next
	// Naive takes an entry that is there twice for two: a bug, for the test to find.
	Naive bool
}

// NewAccounts begins with some money.
func NewAccounts(begin map[string]int64) *Accounts {
	a := &Accounts{Balance: map[string]int64{}, Done: map[string]bool{}, Refused: map[string]bool{}}
	for _, name := range accountNames {
		a.Balance[name] = begin[name]
	}
	return a
}

var accountNames = []string{"ada", "ben", "cleo"}

// Apply takes the entry at the offset Next.
func (a *Accounts) Apply(t Transfer) {
	a.Next++
	if a.Done[t.ID] && !a.Naive || a.Refused[t.ID] {
		return // a client that had no answer has sent it again
	}
	if a.Balance[t.From] < t.Amount {
		a.Refused[t.ID] = true
		return
	}
	a.Balance[t.From] -= t.Amount
	a.Balance[t.To] += t.Amount
	a.Done[t.ID] = true
}

// Total is all the money there is, which no transfer changes.
func (a *Accounts) Total() int64 {
	var sum int64
	for _, name := range accountNames {
		sum += a.Balance[name]
	}
	return sum
}

// Service is the program: it writes transfers into one partition and follows the log. All of it is ordinary code; the
// world (time, tasks, connections) comes from the host, so that it runs in production and in the simulator.
type Service struct {
	Accounts *Accounts

	h      host.Host
	client *client.Client
	reader *client.Fetcher
	at     *client.Position
}

// Topic holds the ledger, in one partition.
const Topic = "ledger"

// Open returns a service that has read nothing yet.
func Open(h host.Host, name string, brokers []string, begin map[string]int64) *Service {
	c := client.New(h, client.Options{Name: name, Brokers: brokers, Timeout: time.Second})
	s := &Service{Accounts: NewAccounts(begin), h: h, client: c, at: &client.Position{Topic: Topic},
		reader: client.NewFetcher(c, client.FetchOptions{MaxWait: 20 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20, PartitionMaxBytes: 1 << 20})}
	s.reader.Add(s.at)
	return s
}

// Close ends its connections.
func (s *Service) Close() { s.client.Close() }

// Create makes the topic.
func (s *Service) Create(replicas int16) error {
	s.client.SetReplicas(replicas)
	return s.client.Retry(s.h.Clock.Now().Add(time.Minute), func() error {
		err := s.client.CreateTopic(Topic, 1)
		if refreshed := s.client.Refresh(Topic); refreshed == nil && s.client.Topic(Topic) != nil {
			return nil
		} else if err == nil {
			err = refreshed
		}
		return fmt.Errorf("create the ledger: %w", errors.Join(err, errors.New("it is not in the metadata yet")))
	})
}

// Transfer writes a transfer and returns when the service has read it: then it has happened, or was refused. It is
// written again, with its id, as long as nobody knows whether it has arrived.
func (s *Service) Transfer(t Transfer, patience time.Duration) error {
	value, err := json.Marshal(t)
	if err != nil {
		return err
	}
	deadline := s.h.Clock.Now().Add(patience)
	for s.h.Clock.Now() < deadline {
		var outcome client.Outcome
		p := client.NewProducer(s.client, client.ProducerOptions{Acks: -1, Delivery: time.Second, Done: func(b *client.Batch) { outcome = b.Outcome }})
		p.Send(&client.Batch{Topic: Topic, Records: []client.Record{{Value: value}}})
		for p.Pump() {
		}
		if outcome != client.Acked {
			s.lookAround()
			continue
		}
		for s.h.Clock.Now() < deadline {
			if err := s.Follow(); err != nil {
				s.lookAround()
			}
			if s.Accounts.Done[t.ID] || s.Accounts.Refused[t.ID] {
				return nil
			}
		}
	}
	return fmt.Errorf("transfer %s: nobody knows what has become of it after %v", t.ID, patience)
}

// lookAround waits a little and asks another broker who leads.
func (s *Service) lookAround() {
	s.h.Clock.Sleep(20 * time.Millisecond)
	s.client.Turn()
	s.client.Refresh(Topic) //nolint:errcheck // the next attempt tells
}

// Follow reads once and applies what came.
func (s *Service) Follow() error {
	deliveries, err := s.reader.Poll()
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if d.Code.Retriable() {
			return d.Code
		}
		for _, r := range d.Records {
			if r.Offset != s.Accounts.Next {
				return fmt.Errorf("offset %d where %d was expected", r.Offset, s.Accounts.Next)
			}
			var t Transfer
			if err := json.Unmarshal(r.Value, &t); err != nil {
				return fmt.Errorf("entry %d of the ledger: %w", r.Offset, err)
			}
			s.Accounts.Apply(t)
		}
	}
	return nil
}

// String is the balances in a line.
func (a *Accounts) String() string {
	names := slices.Clone(accountNames)
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %d ", name, a.Balance[name])
	}
	return fmt.Sprintf("%safter %d entries", text, a.Next)
}
