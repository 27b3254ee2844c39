package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// What a floor does for each request.
const (
	floorBytes   = "bytes"   // answer with given bytes
	floorHash    = "hash"    // one argon2id hash; without HTTP
	floorSign    = "sign"    // sign one token
	floorVerify  = "verify"  // verify one token
	floorRefresh = "refresh" // sign one token, after one durable update
)

// floorOrder tells the child process what to serve: the first line of its
// standard input. The end of its standard input ends it.
type floorOrder struct {
	Kind string `json:"kind"`
	// Bytes are for floorBytes.
	Bytes []byte `json:"bytes,omitempty"`
	// Argon2 is for floorHash.
	Argon2 argon2Cost `json:"argon2,omitzero"`
	// Families is how many rows floorRefresh has, Dir where its database is.
	Families int    `json:"families,omitempty"`
	Dir      string `json:"dir,omitempty"`
}

// floorReady is the child's answer: it serves.
type floorReady struct {
	// URL is empty for floorHash.
	URL string `json:"url,omitempty"`
	// Token is what the clients begin with: for floorVerify a token that it
	// will verify, for floorRefresh a refresh token.
	Token string `json:"token,omitempty"`
}

// hashOrder asks floorHash for hashes for some time, hashReport is its answer.
type hashOrder struct {
	Duration time.Duration `json:"duration"`
}

type hashReport struct {
	Hashes  int64         `json:"hashes"`
	Elapsed time.Duration `json:"elapsed"`
}

// floor is a running floor: this program in a process of its own, so that its
// processor time is accounted in the same way as the server's.
type floor struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *json.Decoder
	ready   floorReady
	// complaint is the child's standard error, to be read once it has ended.
	complaint bytes.Buffer
	// dir is removed when the floor stops.
	dir string
}

// startFloor starts the child and returns when it serves. The caller must call
// stop.
func startFloor(ctx context.Context, order floorOrder, floorDir string) (*floor, error) {
	f := &floor{}
	if order.Kind == floorRefresh {
		// SQLite is given the path as a URI, which must be absolute.
		floorDir, err := filepath.Abs(floorDir)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(floorDir, "keyturn-bench-")
		if err != nil {
			return nil, fmt.Errorf("make the floor's directory: %w", err)
		}
		f.dir, order.Dir = dir, dir
	}
	if err := f.start(ctx, order); err != nil {
		os.RemoveAll(f.dir)
		return nil, fmt.Errorf("start the %s floor: %w", order.Kind, err)
	}
	if err := f.answers.Decode(&f.ready); err != nil {
		return nil, fmt.Errorf("the %s floor did not start: %w", order.Kind, errors.Join(err, f.stop()))
	}
	return f, nil
}

func (f *floor) start(ctx context.Context, order floorOrder) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f.cmd = exec.CommandContext(ctx, self, "floor")
	f.cmd.Stderr = &f.complaint
	if f.orders, err = f.cmd.StdinPipe(); err != nil {
		return err
	}
	answers, err := f.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	f.answers = json.NewDecoder(answers)
	if err := f.cmd.Start(); err != nil {
		return err
	}
	// A child that died already shows when its answer does not come.
	_ = json.NewEncoder(f.orders).Encode(order)
	return nil
}

// pid is the child's process id, or 0 where there is no /proc to account it by.
func (f *floor) pid() int {
	pid := f.cmd.Process.Pid
	if _, err := (process{root: "/proc", pid: pid}).usage(); err != nil {
		return 0
	}
	return pid
}

// target is where the child serves.
func (f *floor) target() (*target, error) { return parseTarget(f.ready.URL, false) }

// hash has floorHash warm up and then hash for the time of the load.
func (f *floor) hash(l load) (measurement, error) {
	if l.warmup > 0 {
		if _, err := f.hashFor(l.warmup); err != nil {
			return measurement{}, err
		}
	}
	w, err := openWindow(f.pid())
	if err != nil {
		return measurement{}, err
	}
	got, err := f.hashFor(l.duration)
	if err != nil {
		return measurement{}, err
	}
	if err := w.close(); err != nil {
		return measurement{}, err
	}
	m := w.measurement(nil)
	m.latency, m.requests, m.elapsed = nil, got.Hashes, got.Elapsed
	return m, nil
}

func (f *floor) hashFor(d time.Duration) (hashReport, error) {
	var got hashReport
	if err := json.NewEncoder(f.orders).Encode(hashOrder{Duration: d}); err != nil {
		return got, fmt.Errorf("the hash floor ended: %w", err)
	}
	if err := f.answers.Decode(&got); err != nil {
		return got, fmt.Errorf("the hash floor ended: %w", err)
	}
	return got, nil
}

// stop ends the child, waits for it and removes its directory.
func (f *floor) stop() error {
	f.orders.Close()
	err := f.cmd.Wait()
	if f.dir != "" {
		if rmErr := os.RemoveAll(f.dir); err == nil {
			err = rmErr
		}
	}
	if err != nil {
		return fmt.Errorf("the floor's process: %w: %s", err, bytes.TrimSpace(f.complaint.Bytes()))
	}
	return nil
}
