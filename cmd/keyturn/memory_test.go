package main

import "testing"

func TestU2_GarbageIsBoundedWhateverTheHashesTake(t *testing.T) {
	const mib = 1 << 20
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
