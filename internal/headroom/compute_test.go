package headroom

import (
	"errors"
	"testing"
)

func TestAPanicGoesOnInTheCaller(t *testing.T) {
	broken := errors.New("broken")
	defer func() {
		if p := recover(); p != broken {
			t.Errorf("recovered %v; want %v", p, broken)
		}
	}()
	Compute(func() { panic(broken) })
	t.Error("the caller went on")
}
