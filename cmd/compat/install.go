package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What other software needs is beside this file: sources of the harnesses, and versions, pinned. It is installed by the
// ordinary clients of the package registries into the user's cache directory, once for each content of those files.
//
//go:embed java python js
var files embed.FS

// installed returns a directory made by fn from the files below the given folders, and from further words that matter. A
// directory that fn has completed before is used again.
func installed(name string, fn func(dir string) error, words []string, folders ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for a place to keep %s: %w", name, err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, words)
	for _, folder := range folders {
		err := fs.WalkDir(files, folder, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := files.ReadFile(p)
			fmt.Fprintf(sum, "%s %d\n%s", p, len(data), data)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, "millrace", fmt.Sprintf("compat-%s-%x", name, sum.Sum(nil)[:6]))
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil { // what an installation that failed has left
		return "", err
	}
	for _, folder := range folders {
		if err := unpack(folder, dir); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(os.Stderr, "installing %s into %s\n", name, dir)
	if err := fn(dir); err != nil {
		return "", fmt.Errorf("installing %s: %w", name, err)
	}
	return dir, os.WriteFile(done, nil, 0o644)
}

// unpack writes the embedded files of a folder or a file into dir, without the folders.
func unpack(folder, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return fs.WalkDir(files, folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path.Base(p)), data, 0o644)
	})
}

// do runs a program in a directory and fails with what it said.
func do(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out[max(0, len(out)-2000):])
	}
	return nil
}

// jvm are the options of Java's programs: most of them live for seconds.
var jvm = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m"}

// javaHarness is the harness in java/, built for one version of the client.
func javaHarness(version string, folders ...string) func(context.Context) (runner, error) {
	return func(ctx context.Context) (runner, error) {
		var parts []string
		for _, f := range folders {
			parts = append(parts, "java/"+f)
		}
		dir, err := installed("java-"+version, func(dir string) error {
			if err := os.Rename(filepath.Join(dir, "clients.xml"), filepath.Join(dir, "pom.xml")); err != nil {
				return err
			}
			if err := do(ctx, dir, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime", "-Dclients.version="+version); err != nil {
				return err
			}
			return javac(ctx, dir)
		}, []string{version}, append(parts, "java/clients.xml")...)
		if err != nil {
			return nil, err
		}
		return harness(func(ctx context.Context, args ...string) *exec.Cmd {
			return java(ctx, dir, append([]string{"Harness"}, args...)...)
		}), nil
	}
}

// javac builds the sources of a directory into it, with the jars in its lib.
func javac(ctx context.Context, dir string) error {
	sources, err := filepath.Glob(filepath.Join(dir, "*.java"))
	if err != nil {
		return err
	}
	return do(ctx, dir, append([]string{"javac", "-nowarn", "-Xlint:none", "-encoding", "UTF-8", "-d", dir, "-cp", filepath.Join(dir, "lib", "*")}, sources...)...)
}

// java runs a class of a directory made by javac.
func java(ctx context.Context, dir string, args ...string) *exec.Cmd {
	all := append(slices.Clone(jvm), "-cp", dir+string(os.PathListSeparator)+filepath.Join(dir, "lib", "*"))
	return exec.CommandContext(ctx, "java", append(all, args...)...)
}

// pythonHarness is a harness in python/.
func pythonHarness(script string) func(context.Context) (runner, error) {
	return func(ctx context.Context) (runner, error) {
		venv, err := installed("python", func(dir string) error {
			if err := do(ctx, dir, "python3", "-m", "venv", "."); err != nil {
				return err
			}
			return do(ctx, dir, filepath.Join("bin", "pip"), "install", "--quiet", "-r", "requirements.txt")
		}, nil, "python/requirements.txt")
		if err != nil {
			return nil, err
		}
		dir, err := installed("python-harness", func(string) error { return nil }, nil, "python")
		if err != nil {
			return nil, err
		}
		return harness(func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), append([]string{filepath.Join(dir, script)}, args...)...)
		}), nil
	}
}

// nodeHarness is the harness in js/.
func nodeHarness(ctx context.Context) (runner, error) {
	dir, err := installed("js", func(dir string) error {
		return do(ctx, dir, "npm", "ci", "--silent", "--no-audit", "--no-fund")
	}, nil, "js")
	if err != nil {
		return nil, err
	}
	return harness(func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "node", append([]string{filepath.Join(dir, "harness.js")}, args...)...)
	}), nil
}

// goHarness is a program of the module in .ci/tools, which has the Go clients that Millrace's module does without.
func goHarness(name string) func(context.Context) (runner, error) {
	return func(ctx context.Context) (runner, error) {
		out, err := filepath.Abs(filepath.Join("build", "compat-"+name))
		if err != nil {
			return nil, err
		}
		if err := do(ctx, filepath.Join(".ci", "tools"), "go", "build", "-o", out, "./compat/"+name); err != nil {
			return nil, err
		}
		return harness(func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, out, args...)
		}), nil
	}
}
