package mongotest

import "testing"

func TestWithDatabase(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://h":                           "mongodb://h/fresh",
		"mongodb://h/":                          "mongodb://h/fresh",
		"mongodb://h:1,i:2/db?replicaSet=rs0":   "mongodb://h:1,i:2/fresh?replicaSet=rs0",
		"mongodb://u:p@h":                       "mongodb://u:p@h/fresh?authSource=admin",
		"mongodb://u:p@h/db?w=majority":         "mongodb://u:p@h/fresh?w=majority&authSource=db",
		"mongodb+srv://u:p@h/db?authsource=own": "mongodb+srv://u:p@h/fresh?authsource=own",
	} {
		if got := withDatabase(uri, "fresh"); got != want {
			t.Errorf("%s became %s; want %s", uri, got, want)
		}
	}
}
