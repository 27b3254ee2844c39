package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

func TestFloorServesItsOwnProcessAndEnds(t *testing.T) {
	f, err := startFloor(t.Context(), floorOrder{Kind: floorBytes, Bytes: []byte("x")}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pid := f.pid()
	if pid == 0 || pid == os.Getpid() {
		t.Errorf("pid %d, want a child's", pid)
	}
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	if _, err := (process{root: "/proc", pid: pid}).usage(); err == nil {
		t.Error("the child is still there")
	}
}

func TestUnknownFloorIsRefused(t *testing.T) {
	_, err := startFloor(t.Context(), floorOrder{Kind: "ceiling"}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `floor "ceiling": must be`) {
		t.Errorf("%v, want the child's complaint", err)
	}
}

func TestRefreshFloorCommitsEveryUpdate(t *testing.T) {
	f, err := openFamilies(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 30 {
		go func() { errs <- f.rotate() }()
	}
	for range 30 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	var sum, synchronous int
	var journal string
	ctx := context.Background()
	for query, into := range map[string]any{
		"SELECT sum(generation) FROM families": &sum,
		"PRAGMA synchronous":                   &synchronous,
		"PRAGMA journal_mode":                  &journal,
	} {
		if err := f.conn.QueryRowContext(ctx, query).Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	if sum != 30 || synchronous != 2 || journal != "wal" {
		t.Errorf("%d updates, synchronous %d, journal %s; want 30, 2 (FULL), wal", sum, synchronous, journal)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}

func TestVerifyFloorRefusesAForeignToken(t *testing.T) {
	mine, err := newPlainSigner()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPlainSigner()
	if err != nil {
		t.Fatal(err)
	}
	token, err := other.sign()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mine.verify(token); err == nil {
		t.Error("verified a token that it did not sign")
	}
	if c, err := other.verify(token); err != nil || c.ClientID != "bench" {
		t.Errorf("%+v, %v", c, err)
	}
}
