package wire

import (
	"slices"
	"strings"
	"testing"
)

// kafka431 is what a broker of Apache Kafka 4.3.1 answered to ApiVersions,
// version 0: key, min, max. The telemetry APIs (71, 72) are missing because it
// ran without a receiver of telemetry.
var kafka431 = []Range{
	{0, 0, 13}, {1, 4, 18}, {2, 1, 11}, {3, 0, 13}, {8, 2, 10}, {9, 1, 10}, {10, 0, 6}, {11, 0, 9}, {12, 0, 4},
	{13, 0, 5}, {14, 0, 5}, {15, 0, 6}, {16, 0, 5}, {17, 0, 1}, {18, 0, 4}, {19, 2, 7}, {20, 1, 6}, {21, 0, 2},
	{22, 0, 5}, {23, 2, 4}, {24, 0, 5}, {25, 0, 4}, {26, 0, 5}, {27, 1, 2}, {28, 0, 5}, {29, 1, 3}, {30, 1, 3},
	{31, 1, 3}, {32, 1, 4}, {33, 0, 2}, {34, 1, 2}, {35, 1, 5}, {36, 0, 2}, {37, 0, 3}, {38, 1, 3}, {39, 1, 2},
	{40, 1, 2}, {41, 1, 3}, {42, 0, 2}, {43, 0, 2}, {44, 0, 1}, {45, 0, 1}, {46, 0, 0}, {47, 0, 0}, {48, 0, 1},
	{49, 0, 1}, {50, 0, 0}, {51, 0, 0}, {55, 0, 2}, {57, 0, 2}, {60, 0, 2}, {61, 0, 0}, {64, 0, 0}, {65, 0, 0},
	{66, 0, 2}, {68, 0, 1}, {69, 0, 1}, {74, 0, 1}, {75, 0, 0}, {76, 1, 1}, {77, 1, 1}, {78, 1, 2}, {79, 1, 2},
	{80, 0, 1}, {81, 0, 0}, {83, 0, 0}, {84, 0, 0}, {85, 0, 1}, {86, 0, 0}, {87, 0, 1}, {88, 0, 0}, {89, 0, 0},
	{90, 0, 1}, {91, 0, 0}, {92, 0, 0},
}

func TestVersionsAreKafkas(t *testing.T) {
	var keys []int16
	for _, api := range APIs() {
		if api.Key != KeyGetTelemetrySubscriptions && api.Key != KeyPushTelemetry {
			keys = append(keys, api.Key)
		}
	}
	served, err := NewServed(Whole(keys...)...)
	if err != nil {
		t.Fatal(err)
	}
	var advertised []Range
	for _, k := range served.ApiKeys() {
		advertised = append(advertised, Range{k.ApiKey, k.MinVersion, k.MaxVersion})
	}
	if !slices.Equal(advertised, kafka431) {
		t.Errorf("advertised %v\nKafka       %v", advertised, kafka431)
	}
}

func TestTableIsWhole(t *testing.T) {
	if len(apis) != 77 {
		t.Errorf("%d APIs", len(apis))
	}
	for key := int16(-2); key < 130; key++ {
		api, known := Lookup(key)
		request, response := NewRequest(key), NewResponse(key)
		if (request != nil) != known || (response != nil) != known {
			t.Fatalf("key %d: known %v, request %v, response %v", key, known, request != nil, response != nil)
		}
		if !known {
			continue
		}
		if request.APIKey() != key || response.APIKey() != key || Name(key) != api.Name {
			t.Errorf("key %d leads to %T and %T", key, request, response)
		}
	}
}

func TestServed(t *testing.T) {
	for _, wrong := range [][]Range{
		{{4, 0, 0}},                  // removed from Kafka
		{{0, 2, 13}},                 // Kafka has 3-13
		{{0, 3, 14}},                 // not yet a version
		{{22, 0, 6}},                 // unstable
		{{3, 5, 4}},                  // empty
		{{3, 0, 4}, {3, 5, 6}},       // twice
		Whole(KeyFetch, 5, KeyFetch), // no such key
	} {
		if _, err := NewServed(wrong...); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
	served, err := NewServed(Range{KeyMetadata, 1, 9}, Range{KeyProduce, 3, 13})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, version int16
		has          bool
	}{{3, 0, false}, {3, 1, true}, {3, 9, true}, {3, 10, false}, {0, 2, false}, {0, 3, true}, {1, 4, false}, {-1, 0, false}, {3, -1, false}} {
		if served.Has(c.key, c.version) != c.has {
			t.Errorf("%d version %d", c.key, c.version)
		}
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, c := range []struct{ key, version, request, response int16 }{
		{KeyProduce, 8, 1, 0}, {KeyProduce, 9, 2, 1}, {KeyApiVersions, 2, 1, 0}, {KeyApiVersions, 3, 2, 0},
		{KeySaslHandshake, 1, 1, 0}, {KeyDescribeCluster, 0, 2, 1}, {KeyOffsetDelete, 0, 1, 0},
	} {
		api, _ := Lookup(c.key)
		if api.RequestHeaderVersion(c.version) != c.request || api.ResponseHeaderVersion(c.version) != c.response {
			t.Errorf("%s version %d", api.Name, c.version)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	names := make(map[string]bool)
	retriable := 0
	for code := ErrUnknownServerError; code <= ErrShareSessionLimitReached; code++ {
		name := code.String()
		if strings.ToUpper(name) != name || names[name] || strings.ContainsAny(name, "0123456789") {
			t.Errorf("%d is called %q", int(code), name)
		}
		names[name] = true
		if message := code.Message(); message == "" || strings.HasPrefix(message, "error code") {
			t.Errorf("%s says %q", name, message)
		}
		if code.Retriable() {
			retriable++
		}
	}
	if len(names) != 135 || retriable != 32 {
		t.Errorf("%d codes, %d retriable", len(names), retriable)
	}
	if ErrNone.Err() != nil || ErrCorruptMessage.Err() != ErrCorruptMessage {
		t.Error("Err")
	}
	for _, code := range []ErrorCode{-2, 134, -1 << 15, 1<<15 - 1} {
		if code.Retriable() || code.Message() == "" || code.String() == "" {
			t.Errorf("%d: %s", int(code), code)
		}
	}
}

func TestUUID(t *testing.T) {
	id := UUID{1, 2, 3, 0xff, 15: 9}
	if back, err := ParseUUID(id.String()); err != nil || back != id || len(id.String()) != 22 {
		t.Errorf("%s: %v, %v", id, back, err)
	}
	for _, wrong := range []string{"", "AQID", strings.Repeat("A", 23), strings.Repeat("+", 22)} {
		if _, err := ParseUUID(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	if (UUID{}).String() != "AAAAAAAAAAAAAAAAAAAAAA" || !(UUID{}).IsZero() || id.IsZero() {
		t.Error("the zero id")
	}
}
