package main

import (
	"os"

	"github.com/schollz/progressbar/v3"
)

// bar shows on standard error how far each stage of a long command has come, if
// that is a terminal.
type bar struct {
	screen *os.File // nil where there is none
	stage  string
	drawn  *progressbar.ProgressBar
}

func (p *program) newBar() *bar {
	return &bar{screen: terminal(p.stderr)}
}

// show implements transfer.Progress. What cannot be drawn is no reason to stop.
func (b *bar) show(stage string, done, total int64) {
	if b.screen == nil {
		return
	}
	if stage != b.stage {
		b.end()
		b.stage = stage
		b.drawn = progressbar.NewOptions64(max(total, done), progressbar.OptionSetWriter(b.screen), progressbar.OptionSetDescription(stage),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish())
	}
	if done > b.drawn.GetMax64() {
		b.drawn.ChangeMax64(done)
	}
	_ = b.drawn.Set64(done)
}

// end wipes the bar.
func (b *bar) end() {
	if b.drawn != nil {
		_ = b.drawn.Finish()
		b.drawn = nil
	}
}
