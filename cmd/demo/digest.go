package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
)

// digest is a checksum over keys and, for each key, its values in their order. The order of different keys does not
// count: partitions are read side by side.
type digest struct {
	keys    map[string]*keyDigest
	records int64
	bytes   int64
}

type keyDigest struct {
	records int64
	chain   hash.Hash
}

func newDigest() *digest { return &digest{keys: map[string]*keyDigest{}} }

func (d *digest) add(key string, value []byte) {
	k := d.keys[key]
	if k == nil {
		k = &keyDigest{chain: sha256.New()}
		d.keys[key] = k
	}
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(value)))
	k.chain.Write(size[:])
	k.chain.Write(value)
	k.records++
	d.records++
	d.bytes += int64(len(value))
}

// sum returns the checksum over everything added.
func (d *digest) sum() string {
	all := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(d.keys)) {
		fmt.Fprintf(all, "%q %d %x\n", key, d.keys[key].records, d.keys[key].chain.Sum(nil))
	}
	return fmt.Sprintf("%x", all.Sum(nil)[:12])
}

// difference says where got differs from d first, or "".
func (d *digest) difference(got *digest) string {
	keys := slices.Sorted(maps.Keys(d.keys))
	for _, key := range keys {
		want, have := d.keys[key], got.keys[key]
		switch {
		case have == nil:
			return fmt.Sprintf("nothing of %s came out, it has %d lines", key, want.records)
		case have.records != want.records:
			return fmt.Sprintf("%d lines of %s came out, it has %d", have.records, key, want.records)
		case string(have.chain.Sum(nil)) != string(want.chain.Sum(nil)):
			return fmt.Sprintf("the lines of %s came out changed or in another order", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got.keys)) {
		if d.keys[key] == nil {
			return fmt.Sprintf("%d records came out under the key %q, which never went in", got.keys[key].records, key)
		}
	}
	return ""
}
