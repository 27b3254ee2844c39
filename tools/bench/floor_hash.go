package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// serveHashes makes hashes on all cores for each order until there are no more.
func serveHashes(cost argon2Cost, orders *json.Decoder, answers *json.Encoder) error {
	if err := answers.Encode(floorReady{}); err != nil {
		return err
	}
	for {
		var o hashOrder
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the order: %w", err)
		}
		if err := answers.Encode(hashFor(cost, o.Duration)); err != nil {
			return err
		}
	}
}

// hashFor hashes on all cores for d, finishing the last hash of each core.
func hashFor(cost argon2Cost, d time.Duration) hashReport {
	var hashes atomic.Int64
	var cores sync.WaitGroup
	start := time.Now()
	password, salt := []byte("correct horse battery staple"), []byte("sixteen bytes ok")
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for time.Since(start) < d {
				argon2.IDKey(password, salt, cost.Passes, cost.MemoryKiB, cost.Lanes, 32)
				hashes.Add(1)
			}
		})
	}
	cores.Wait()
	return hashReport{Hashes: hashes.Load(), Elapsed: time.Since(start)}
}
