# What is done to this repository, one target each. Only `build` and `test` are needed to work on it, and they need
# nothing but Go; the targets below the line need other software, and say so when it is missing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO ?= go
# One static binary that names its commit (millrace version) and no path of the machine that built it.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto

SEEDS ?= 100
JOBS ?= $(shell nproc)
STARTS ?= 3
LIMIT ?= 2000
TESTFLAGS ?=
FUZZCOUNT ?= 100000x
MINUTES ?= 2

.PHONY: build cross reproducible test race fuzz lint generate seeds mutants chaos demo demo-cluster compat oracle durability bench clean

build: ## the binary, build/millrace
	@mkdir -p build
	$(BUILD) -o build/ ./cmd/millrace

cross: ## the binary for macOS and Windows (a sync for each file, no direct I/O, file ranges are copied): compiled, not run
	@mkdir -p build/cross
	GOOS=darwin GOARCH=arm64 $(BUILD) -o build/cross/millrace-darwin-arm64 ./cmd/millrace
	GOOS=windows GOARCH=amd64 $(BUILD) -o build/cross/millrace-windows-amd64.exe ./cmd/millrace

MEBIBYTES ?= 40

reproducible: build ## the binary twice, the second time from another directory: the same bytes, not too many; COLD=1 compiles everything twice
	rm -rf build/again && mkdir -p build/again
	git clone -q --no-hardlinks . build/again/src
	cd build/again/src && $(if $(COLD),GOCACHE="$(CURDIR)/build/again/cache") $(BUILD) -o "$(CURDIR)/build/again/millrace" ./cmd/millrace
	if [ -z "$$(git status --porcelain)" ]; then cmp build/millrace build/again/millrace; else echo "the tree has changes, so the bytes are not compared"; fi
	size=$$(stat -c %s build/millrace); echo "$$size bytes"; [ "$$size" -lt $$(($(MEBIBYTES) << 20)) ]
	build/millrace version
	[ "$$(build/millrace version --json | grep -c "$$(git rev-parse HEAD)")" = 1 ]
	@rm -rf build/again

test: ## everything that needs no other software
	$(GO) test $(TESTFLAGS) ./...

race: ## the same under the race detector
	$(GO) test -race $(TESTFLAGS) ./...

fuzz: ## each fuzz target for FUZZCOUNT executions
	.ci/fuzz $(FUZZCOUNT)

lint: ## gofmt, vet, the rule of the door, staticcheck
	@bad=$$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ ! -f "$$f" ] || echo "$$f"; done | xargs gofmt -l); if [ -n "$$bad" ]; then echo "not formatted:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags nosync ./node/host/machine/
	$(GO) vet -tags mutants ./...
	$(GO) run ./cmd/doorcheck ./...
	$(GO) build -C .ci/tools -o "$(CURDIR)/build/" honnef.co/go/tools/cmd/staticcheck
	build/staticcheck ./...

generate: ## the protocol's codec, from the message schemas in Kafka's jars (Java, Maven: they fetch the jars)
	jars=$$($(GO) run ./cmd/internal/kafka/fetch); MILLRACE_KAFKA_JARS=$$jars $(GO) generate ./...

seeds: build ## SEEDS fresh simulated runs, each in two processes whose hashes must agree
	@first=$${FIRST:-$$(( ($$(date +%s%N) / 1000) % 1000000000000 ))}; \
	echo "seeds from $$first on"; \
	build/millrace sim --seeds $$first-$$((first + $(SEEDS) - 1)) --twice --jobs $(JOBS)

mutants: ## each planted bug, until the simulator finds it (median of STARTS starts; table in build/mutants.md), and those of rooms by their tests
	@mkdir -p build
	$(BUILD) -tags mutants -o build/millrace-mutants ./cmd/millrace
	build/millrace-mutants sim --mutants --starts $(STARTS) --limit $(LIMIT) --jobs $(JOBS) --markdown build/mutants.md
	$(GO) test -tags mutants -count=1 -v -run 'Mutants' ./wal ./partition ./net/peer ./node ./node/shard ./node/group ./sim/trial

chaos: build ## three real nodes, tormented for MINUTES, and what their clients saw, checked
	build/millrace chaos --nodes 3 --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(CHAOS)

# ---- with other software -------------------------------------------------------------------------------------------

demo: build ## Go's source through real clients, with kills (kcat, Java 17, Maven)
	$(GO) build -o build/ ./cmd/demo
	build/demo $(DEMO)

demo-cluster: build ## the same on three nodes that are killed and restarted in turn, with sarama, too
	$(GO) build -o build/ ./cmd/demo
	$(GO) build -C .ci/tools -o "$(CURDIR)/build/" ./sarama
	build/demo --nodes 3 --clients franz-go,kcat,java,sarama --phases kills,rolling $(DEMO)

compat: build ## every Kafka client, and the table in docs/compatibility.md (Java 17, Maven, Python 3 with venv, Node with npm, kcat)
	$(GO) build -o build/ ./cmd/compat
	build/compat --table docs/compatibility.md $(COMPAT)

oracle: build ## a thousand requests to Millrace and to Kafka 4.3.1, the answers compared field by field, and the table in docs/oracle.md (Java 17, Maven); ORACLE='--only fetch'
	$(GO) build -o build/ ./cmd/oracle
	build/oracle --table docs/oracle.md $(ORACLE)

durability: ## no answer leaves before what it acknowledges is on disk (strace)
	@mkdir -p build
	$(BUILD) -o build/ ./cmd/millrace
	$(BUILD) -tags nosync -o build/millrace-nosync ./cmd/millrace
	$(GO) build -o build/ ./cmd/durability
	build/durability --broker build/millrace
	build/durability --broker build/millrace-nosync --expect-violation

bench: build ## Millrace and Kafka in turn, on one node and on three (Java 17, Maven); BENCH='failover --times 3' does only that
	$(GO) build -o build/ ./cmd/bench
ifdef BENCH
	build/bench $(BENCH)
else
	build/bench pair
	build/bench pair --cluster
	build/bench failover
	build/bench crowd
endif

clean:
	rm -rf build
