package main

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestA2_WhatWasFoundIsNotUnreadable keeps the exit codes of audit verify apart.
func TestA2_WhatWasFoundIsNotUnreadable(t *testing.T) {
	for _, c := range []struct {
		err    error
		unread bool
	}{
		{&verify.BadLine{File: "a.log", Reason: "changed"}, false},
		{usageError{errors.New("no such flag")}, false},
		{errors.New("open a.log: permission denied"), true},
	} {
		var unread unreadableError
		if errors.As(unreadable(c.err), &unread) != c.unread {
			t.Errorf("%v: unreadable is not %v", c.err, c.unread)
		}
	}
}
