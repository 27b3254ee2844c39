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

func TestThrough(t *testing.T) {
	got := Through(t, "mongodb://h:1/db?replicaSet=java&maxPoolSize=4", "127.0.0.1:2")
	if want := "mongodb://127.0.0.1:2/db?appName=via%20127.0.0.1%3A2&maxPoolSize=4&replicaSet=java"; got != want {
		t.Errorf("through a network it is %s; want %s", got, want)
	}
}
