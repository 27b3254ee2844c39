package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// askedTimes is a context that a signal ends when it is asked for the nth time whether
// it has ended: at whatever point of a start that is.
type askedTimes struct {
	context.Context
	stop context.CancelFunc

	mu   sync.Mutex
	left int
}

func (c *askedTimes) asked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.stop()
	}
}

func (c *askedTimes) Done() <-chan struct{} {
	c.asked()
	return c.Context.Done()
}

func (c *askedTimes) Err() error {
	c.asked()
	return c.Context.Err()
}

// stopAt runs serve in an empty directory, ends it at that question or else when it
// serves, and returns the questions asked and what it left.
func stopAt(t *testing.T, question int, flags ...string) (asked int, code int, stderr, log string, files []string) {
	t.Helper()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := &askedTimes{Context: ctx, stop: stop, left: question}
	var said bytes.Buffer
	p := &program{stdout: t.Output(), stderr: &untilServing{to: &said, ctx: c, asked: &asked}}
	args := append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin-listen", "off",
		"--store", "sqlite:" + filepath.Join(dir, "keyturn.db"), "--audit-log", filepath.Join(dir, "audit.log"),
	}, flags...)
	code = p.run(c, args)
	text, err := os.ReadFile(filepath.Join(dir, "audit.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			files = append(files, filepath.Base(path))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return asked, code, said.String(), string(text), files
}

// untilServing is a log that ends the context of a server once it serves.
type untilServing struct {
	mu    sync.Mutex
	to    *bytes.Buffer
	ctx   *askedTimes
	asked *int
}

func (w *untilServing) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(line, []byte(`"message":"serving"`)) {
		w.ctx.mu.Lock()
		*w.asked = -w.ctx.left
		w.ctx.mu.Unlock()
		w.ctx.stop()
	}
	return w.to.Write(line)
}

// TestF9_AStartThatIsToldToStop tells a server to stop at every point of its start: it
// ends with 0, and a log that says that it started says that it stopped.
func TestF9_AStartThatIsToldToStop(t *testing.T) {
	points, code, stderr, log, _ := stopAt(t, 0)
	if code != exitOK || points < 10 || !strings.Contains(log, `"server-started"`) || !strings.Contains(log, `"server-stopped"`) {
		t.Fatalf("exit code %d, %d points\n%s\n%s", code, points, stderr, log)
	}
	for point := 1; point <= points; point += max(1, points/32) {
		_, code, stderr, log, files := stopAt(t, point)
		started, stopped := strings.Count(log, `"server-started"`), strings.Count(log, `"server-stopped"`)
		if code != exitOK || started != stopped || started > 1 {
			t.Errorf("at point %d: exit code %d, %d starts and %d stops in the log\n%s", point, code, started, stopped, stderr)
		}
		if point == 1 && len(files) > 0 {
			t.Errorf("at point 1 it left %v", files)
		}
	}
}
