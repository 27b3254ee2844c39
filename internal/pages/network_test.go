package pages

import "testing"

func TestSameNetwork(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"192.0.2.1", "192.0.2.1"}: true, {"192.0.2.1", "192.0.2.2"}: false, {"::ffff:192.0.2.1", "192.0.2.1"}: true,
		{"2001:db8::1", "2001:db8::2"}: true, {"2001:db8::1", "2001:db8:0:1::1"}: false, {"unknown", "unknown"}: false, {"", ""}: false,
	} {
		if got := sameNetwork(pair[0], pair[1]); got != want {
			t.Errorf("%v: %v", pair, got)
		}
	}
}
