package main

import "testing"

const mib = 1 << 20

func TestU2_GarbageIsBoundedWhateverTheHashesTake(t *testing.T) {
	for _, hashes := range []int64{19 * mib, 38 * mib, 152 * mib, 304 * mib} {
		c := collectingFor(hashes)
		hashing := (c.ballast + hashes) * int64(c.percent) / 100
		idle := c.ballast * int64(c.percent) / 100
		if hashing > garbageHashing || hashing < garbageHashing*8/10 || idle > garbageIdle || idle < garbageIdle*8/10 {
			t.Errorf("with %d MiB of hashes: %+v lets %d MiB of garbage grow, %d MiB idle", hashes/mib, c, hashing/mib, idle/mib)
		}
	}
	if c := collectingFor(1 << 38); c.ballast > largestBallast || c.percent < leastPercent {
		t.Errorf("with 256 GiB of hashes: %+v", c)
	}
}

// The limit must never be so low that the collector cannot keep to it.
func TestU2_LimitFollowsWhatIsInUse(t *testing.T) {
	c := collectingFor(38 * mib)
	if got, want := c.limit(c.ballast+c.hashes+4*mib), c.ballast+c.hashes+besideHashes; got != want {
		t.Errorf("with 4 MiB in use the limit is %d MiB, want %d", got/mib, want/mib)
	}
	for _, live := range []int64{20 * mib, 100 * mib, 4096 * mib} {
		goal := (c.ballast + c.hashes + live) * int64(100+c.percent) / 100
		if got := c.limit(c.ballast + c.hashes + live); got < goal {
			t.Errorf("with %d MiB in use the limit is %d MiB, below the collector's goal of %d", live/mib, got/mib, goal/mib)
		}
	}
}
