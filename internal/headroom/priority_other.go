//go:build !linux

package headroom

// giveWay does nothing: other systems give no thread a priority of its own, or
// not by the same means.
func giveWay() {}

func onMainThread() bool { return false }
