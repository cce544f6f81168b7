package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (s *session) clusterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Look at the brokers of a cluster",
	}
	family(c)
	sub := s.clusterDescribeCommand()
	s.clientFlags(sub)
	sub.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long to wait for the broker's answer")
	c.AddCommand(sub)
	return c
}

// describedCluster is what cluster describe prints.
type describedCluster struct {
	ID         string            `json:"cluster"`
	Controller int32             `json:"controller"`
	Brokers    []describedBroker `json:"brokers"`
	Quorum     *describedQuorum  `json:"quorum,omitempty"`
	Partitions int               `json:"partitions"`
	// Leaderless are partitions that nobody leads, UnderReplicated those with replicas that are not in sync.
	Leaderless      int `json:"leaderlessPartitions"`
	UnderReplicated int `json:"underReplicatedPartitions"`
}

// describedBroker is one broker of it.
type describedBroker struct {
	ID       int32  `json:"broker"`
	Host     string `json:"host"`
	Port     int32  `json:"port"`
	Rack     string `json:"rack,omitempty"`
	Fenced   bool   `json:"fenced"`
	Leads    int    `json:"leads"`
	Replicas int    `json:"replicas"`
	InSync   int    `json:"inSync"`
}

// describedQuorum is the replication of the cluster's metadata.
type describedQuorum struct {
	Leader    int32            `json:"leader"`
	Epoch     int32            `json:"epoch"`
	Committed int64            `json:"committed"`
	Voters    []describedVoter `json:"voters"`
}

// describedVoter is one replica of it. Times are in milliseconds since 1970, -1 when unknown.
type describedVoter struct {
	Node         int32 `json:"node"`
	End          int64 `json:"end"`
	LastHeard    int64 `json:"lastHeard"`
	LastCaughtUp int64 `json:"lastCaughtUp"`
}

func (s *session) clusterDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe",
		Short: "Describe a cluster: brokers, racks, who leads how much, and the replicas of its metadata",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := s.client(c.Context(), kgo.RetryTimeout(s.timeout))
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(c.Context(), s.timeout)
			defer cancel()
			d, err := describeCluster(ctx, client)
			if err != nil {
				return err
			}
			if s.json {
				return s.printJSON(d)
			}
			return s.printCluster(d)
		},
	}
}

func describeCluster(ctx context.Context, client *kgo.Client) (*describedCluster, error) {
	q := kmsg.NewPtrDescribeClusterRequest()
	q.IncludeFencedBrokers = true
	cluster, err := q.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(cluster.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the brokers: %w", err)
	}
	d := &describedCluster{ID: cluster.ClusterID, Controller: cluster.ControllerID, Brokers: []describedBroker{}}
	for _, b := range cluster.Brokers {
		rack := ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		d.Brokers = append(d.Brokers, describedBroker{ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: rack, Fenced: b.IsFenced})
	}
	slices.SortFunc(d.Brokers, func(a, b describedBroker) int { return int(a.ID) - int(b.ID) })
	if err := d.countPartitions(ctx, client); err != nil {
		return nil, err
	}
	return d, d.askQuorum(ctx, client)
}

// countPartitions counts what each broker leads and has, of all topics.
func (d *describedCluster) countPartitions(ctx context.Context, client *kgo.Client) error {
	q := kmsg.NewPtrMetadataRequest()
	q.Topics = nil
	topics, err := q.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("asking for the partitions: %w", err)
	}
	on := func(node int32, note func(*describedBroker)) {
		if i := slices.IndexFunc(d.Brokers, func(b describedBroker) bool { return b.ID == node }); i >= 0 {
			note(&d.Brokers[i])
		}
	}
	for _, t := range topics.Topics {
		for _, p := range t.Partitions {
			d.Partitions++
			if p.Leader < 0 {
				d.Leaderless++
			}
			if len(p.ISR) < len(p.Replicas) {
				d.UnderReplicated++
			}
			on(p.Leader, func(b *describedBroker) { b.Leads++ })
			for _, node := range p.Replicas {
				on(node, func(b *describedBroker) { b.Replicas++ })
			}
			for _, node := range p.ISR {
				on(node, func(b *describedBroker) { b.InSync++ })
			}
		}
	}
	return nil
}

// askQuorum asks how far the replicas of the metadata are. A cluster that cannot be asked that is described without.
func (d *describedCluster) askQuorum(ctx context.Context, client *kgo.Client) error {
	q := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic, t.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{kmsg.NewDescribeQuorumRequestTopicPartition()}
	q.Topics = append(q.Topics, t)
	quorum, err := q.RequestWith(ctx, client)
	if err != nil || len(quorum.Topics) == 0 || len(quorum.Topics[0].Partitions) == 0 {
		return ctx.Err()
	}
	p := quorum.Topics[0].Partitions[0]
	if kerr.ErrorForCode(quorum.ErrorCode) != nil || kerr.ErrorForCode(p.ErrorCode) != nil {
		return nil
	}
	d.Quorum = &describedQuorum{Leader: p.LeaderID, Epoch: p.LeaderEpoch, Committed: p.HighWatermark, Voters: []describedVoter{}}
	for _, v := range p.CurrentVoters {
		d.Quorum.Voters = append(d.Quorum.Voters, describedVoter{v.ReplicaID, v.LogEndOffset, v.LastFetchTimestamp, v.LastCaughtUpTimestamp})
	}
	return nil
}

func (s *session) printCluster(d *describedCluster) error {
	fmt.Fprintf(s.out, "cluster %s, %s, controller %d\n", d.ID, count(len(d.Brokers), "broker"), d.Controller)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  BROKER\tADDRESS\tRACK\tSTATE\tLEADS\tREPLICAS\tIN SYNC")
	for _, b := range d.Brokers {
		state := "alive"
		if b.Fenced {
			state = "fenced"
		}
		fmt.Fprintf(w, "  %d\t%s:%d\t%s\t%s\t%d\t%d\t%d\n", b.ID, b.Host, b.Port, b.Rack, state, b.Leads, b.Replicas, b.InSync)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s, %d without a leader, %d with replicas that are not in sync\n", count(d.Partitions, "partition"), d.Leaderless, d.UnderReplicated)
	if d.Quorum == nil {
		return nil
	}
	fmt.Fprintf(s.out, "metadata led by %d in epoch %d, committed to %d\n", d.Quorum.Leader, d.Quorum.Epoch, d.Quorum.Committed)
	fmt.Fprintln(w, "  NODE\tEND\tBEHIND\tLAST HEARD OF\tLAST CAUGHT UP")
	for _, v := range d.Quorum.Voters {
		fmt.Fprintf(w, "  %d\t%d\t%d\t%s\t%s\n", v.Node, v.End, max(d.Quorum.Committed-v.End, 0), ago(v.LastHeard), ago(v.LastCaughtUp))
	}
	return w.Flush()
}

// ago words how long ago a time in milliseconds since 1970 is.
func ago(ms int64) string {
	if ms <= 0 {
		return "unknown"
	}
	d := time.Since(time.UnixMilli(ms)).Truncate(time.Millisecond)
	if d < time.Second {
		return "now"
	}
	return d.Truncate(time.Second).String() + " ago"
}
