//go:build !linux

package headroom

// pulse is for Linux, whose scheduler needs it.
type pulse struct{}

func pulseCores(int) []int        { return nil }
func startPulse([]int) (p *pulse) { return p }
func (p *pulse) end()             {}
