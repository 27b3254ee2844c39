package main

import (
	"fmt"
	"os"
	"time"
)

// bar shows on standard error how far each stage of a long command has come, if
// that is a terminal.
type bar struct {
	screen *os.File // nil where there is none
	stage  string
	drawn  time.Time
}

func (p *program) newBar() *bar {
	return &bar{screen: terminal(p.stderr)}
}

// eraseLine returns to the beginning of the line and wipes it.
const eraseLine = "\r\x1b[K"

// show implements transfer.Progress. What cannot be drawn is no reason to stop.
func (b *bar) show(stage string, done, total int64) {
	if b.screen == nil || stage == b.stage && time.Since(b.drawn) < 100*time.Millisecond {
		return
	}
	b.stage, b.drawn = stage, time.Now()
	total = max(total, done, 1)
	fmt.Fprintf(b.screen, "%s%s %3d %% (%d of %d)", eraseLine, stage, 100*done/total, done, total)
}

// end wipes the line.
func (b *bar) end() {
	if b.stage != "" {
		fmt.Fprint(b.screen, eraseLine)
		b.stage = ""
	}
}
