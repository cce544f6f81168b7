package machine

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDeviceReadAhead looks at a disk, a partition of it, and what is neither, laid out as the kernel does.
func TestDeviceReadAhead(t *testing.T) {
	root := t.TempDir()
	disk, odd := filepath.Join(root, "devices", "pci0", "block", "vda"), filepath.Join(root, "devices", "odd")
	for dir, kb := range map[string]string{disk: "8192\n", odd: "much\n"} {
		if err := os.MkdirAll(filepath.Join(dir, "queue"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "queue", "read_ahead_kb"), []byte(kb), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	devices := filepath.Join(root, "dev", "block")
	for name, target := range map[string]string{"254:0": disk, "254:1": filepath.Join(disk, "vda1"), "254:2": odd, "8:0": filepath.Join(root, "devices")} {
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(devices, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(devices, name)); err != nil {
			t.Fatal(err)
		}
	}
	for device, want := range map[string]int64{"254:0": 8 << 20, "254:1": 8 << 20, "254:2": 0, "8:0": 0, "0:42": 0} {
		if got := deviceReadAhead(devices, device); got != want {
			t.Errorf("device %s reads %d bytes ahead, want %d", device, got, want)
		}
	}
}
