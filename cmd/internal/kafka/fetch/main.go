// Command fetch gets Kafka's jars, unless this user has them, and prints the directory that holds them.
package main

import (
	"context"
	"fmt"
	"os"

	"millrace/cmd/internal/kafka"
)

func main() {
	jars, err := kafka.Fetch(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
	fmt.Println(jars.Dir())
}
