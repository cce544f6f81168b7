package node

import (
	"fmt"
	"testing"

	"millrace/net/wire"
)

// TestConfigsChangeAtRuntime sets the bound of batches for all brokers, for this one and for a topic, and produces.
func TestConfigsChangeAtRuntime(t *testing.T) {
	if err := changeConfigs(t); err != nil {
		t.Error(err)
	}
}

// changeConfigs says what is wrong when configs change while a connection produces.
func changeConfigs(t *testing.T) error {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	produced := func() wire.ErrorCode {
		q := produceRequest("t", -1, rawBatch(40, nil)) // of about 380 bytes
		return ask[*wire.ProduceResponse](r, q, 9).Responses[0].PartitionResponses[0].ErrorCode
	}
	alter := func(kind int8, name, config, value string) error {
		q := wire.NewIncrementalAlterConfigsRequest()
		q.Resources = []wire.IncrementalAlterConfigsRequestAlterConfigsResource{{ResourceType: kind, ResourceName: name,
			Configs: []wire.IncrementalAlterConfigsRequestAlterableConfig{{Name: config, Value: &value}}}}
		if value == "" {
			q.Resources[0].Configs[0].ConfigOperation = 1
		}
		a := ask[*wire.IncrementalAlterConfigsResponse](r, q, 1).Responses[0]
		if a.ErrorCode != wire.ErrNone {
			return fmt.Errorf("%s=%s: %v", config, value, a.ErrorCode)
		}
		return nil
	}
	for _, step := range []struct {
		kind                int8
		name, config, value string
		want                wire.ErrorCode
	}{
		{4, "", "log.retention.ms", "100000000", wire.ErrNone},
		{4, "", "message.max.bytes", "100", wire.ErrMessageTooLarge},
		{4, "1", "message.max.bytes", "1000", wire.ErrNone},
		{2, "t", "max.message.bytes", "50", wire.ErrMessageTooLarge},
		{2, "t", "retention.ms", "5000000", wire.ErrMessageTooLarge},
		{2, "t", "max.message.bytes", "", wire.ErrNone},
		{4, "1", "message.max.bytes", "", wire.ErrMessageTooLarge},
		{4, "", "message.max.bytes", "", wire.ErrNone},
	} {
		if err := alter(step.kind, step.name, step.config, step.value); err != nil {
			return err
		}
		if code := produced(); code != step.want {
			return fmt.Errorf("after %s=%s for %d %q: %v, want %v", step.config, step.value, step.kind, step.name, code, step.want)
		}
	}
	q := wire.NewDescribeConfigsRequest()
	q.Resources = []wire.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: "t", ConfigurationKeys: []string{"retention.ms"}}}
	if c := ask[*wire.DescribeConfigsResponse](r, q, 4).Results[0].Configs[0]; orEmpty(c.Value) != "5000000" || c.ConfigSource != 1 {
		return fmt.Errorf("retention.ms is %s from %d", orEmpty(c.Value), c.ConfigSource)
	}
	return nil
}
