package main

import (
	"fmt"
	"os"
	"time"
)

// bar shows the progress of each stage of a long command on standard error, if
// that is a terminal.
type bar struct {
	screen *os.File // nil without a terminal
	stage  string
	drawn  time.Time
}

func (p *program) newBar() *bar {
	return &bar{screen: terminal(p.stderr)}
}

// eraseLine moves the cursor to the beginning of the line and clears the line.
const eraseLine = "\r\x1b[K"

// show implements transfer.Progress. It ignores errors of drawing.
func (b *bar) show(stage string, done, total int64) {
	if b.screen == nil || stage == b.stage && time.Since(b.drawn) < 100*time.Millisecond {
		return
	}
	b.stage, b.drawn = stage, time.Now()
	total = max(total, done, 1)
	fmt.Fprintf(b.screen, "%s%s %3d %% (%d of %d)", eraseLine, stage, 100*done/total, done, total)
}

// end clears the line.
func (b *bar) end() {
	if b.stage != "" {
		fmt.Fprint(b.screen, eraseLine)
		b.stage = ""
	}
}
