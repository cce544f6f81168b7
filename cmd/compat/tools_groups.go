package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// groups: a group as its members and its offsets are shown, moved and deleted.
func (s *suite) groups(ctx context.Context) (string, error) {
	const class = "consumer.group.ConsumerGroupCommand"
	t, g := reference+"-none", "compat-tools-group"
	cctx, stop := context.WithCancel(ctx)
	defer stop()
	consumer := s.command(cctx, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", s.p.brokers(), "--topic", t, "--group", g, "--from-beginning",
		"--command-property", "auto.commit.interval.ms=100", "--command-property", "client.id=console")
	if err := consumer.Start(); err != nil {
		return "", err
	}
	err := until(ctx, "the group has read everything", func() (bool, error) {
		err := s.step(ctx, "", class, words("--describe --group "+g), g+" "+t+" 0 100 100 0 console", g+" "+t+" 2 100 100 0 console")()
		return err == nil, err
	})
	if err := errors.Join(err,
		s.step(ctx, "", class, words("--describe --members --verbose --group "+g), "console 3 .*"+t+`.*0,1,2`)(),
		s.step(ctx, "", class, words("--describe --state --group "+g), "range Stable 1")()); err != nil {
		return "", err
	}
	consumer.Process.Signal(interrupt) //nolint:errcheck // Wait tells
	consumer.Wait()                    //nolint:errcheck // it was interrupted
	reset := func(how string, patterns ...string) func() error {
		return s.step(ctx, "", class, words("--reset-offsets --execute --group "+g+" --topic "+t+" "+how), patterns...)
	}
	line := func(p, o int) string { return fmt.Sprintf("%s %s %d %d", g, t, p, o) }
	return "list, describe, members, state; resets: earliest, latest, offset, shift, time; offsets and group deleted", steps(
		s.step(ctx, "", class, words("--list"), "^"+g+"$"),
		s.step(ctx, "", class, words("--describe --state --group "+g), "Empty 0"),
		reset("--to-earliest", line(0, 0), line(2, 0)),
		reset("--to-latest", line(1, 100)),
		reset("--to-offset 42", line(0, 42)),
		reset("--shift-by -2", line(2, 40)),
		reset("--to-datetime 2023-11-14T22:13:23.000Z", line(0, 1), line(1, 1), line(2, 1)),
		s.step(ctx, "", class, words("--describe --group "+g), g+" "+t+" 0 1 100 99"),
		s.step(ctx, "", class, words("--delete-offsets --group "+g+" --topic "+t), t+" 0 Successful"),
		s.step(ctx, "", class, words("--delete --group "+g), "was successful"),
		func() error {
			out, err := s.tool(ctx, "", class, "--list")
			if err == nil && strings.Contains(out, g) {
				err = errors.New("the deleted group is listed")
			}
			return err
		})
}

// offsetsTopic: Kafka's own formatters find in the topic of committed offsets what a group has committed, and its generation.
func (s *suite) offsetsTopic(ctx context.Context) (string, error) {
	const class = "consumer.ConsoleConsumer"
	t, g := reference+"-none", "compat-tools-topic-group"
	read := func(formatter string) []string {
		return append(words("--topic __consumer_offsets --from-beginning --timeout-ms 8000 --formatter"), "org.apache.kafka.tools.consumer."+formatter)
	}
	committed := func(p, offset int) string {
		return fmt.Sprintf(`"group":"%s","topic":"%s","partition":%d\}\}.*"data":\{"offset":%d,.*"metadata":""`, g, t, p, offset)
	}
	return "what a group has committed, and its members and generation, as Kafka's formatters tell it", steps(
		s.step(ctx, "", class, words("--from-beginning --max-messages 300 --timeout-ms 20000 --command-property client.id=console --topic "+t+" --group "+g)),
		s.step(ctx, "", class, read("OffsetsMessageFormatter"), committed(0, 100), committed(1, 100), committed(2, 100)),
		s.step(ctx, "", class, read("GroupMetadataMessageFormatter"),
			`"group":"`+g+`"\}\}.*"protocolType":"consumer","generation":1,"protocol":"range","leader":"console-.*"members":\[\{"memberId":"console-.*"clientId":"console"`,
			`"group":"`+g+`"\}\}.*"protocol":null,.*"members":\[\]`))
}
