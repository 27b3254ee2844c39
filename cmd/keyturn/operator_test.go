package main

import "testing"

// TestK7_NoSecretInTheCommandLineOfAnEvent masks what a store's URI can hold.
func TestK7_NoSecretInTheCommandLineOfAnEvent(t *testing.T) {
	o := operator([]string{
		"clients", "add", "app", "--store", "mongodb://keyturn:hunter2@db1,db2/keyturn?authSource=admin",
		"--store=mongodb+srv://keyturn:hunter2@db/x", "--store=mongodb://a:hunter2@[broken/x", "--scope", "a b",
	}, []string{"SUDO_USER=ada"})
	want := "keyturn clients add app --store mongodb://%E2%80%A6@db1,db2/keyturn --store=mongodb+srv://%E2%80%A6@db/x --store=mongodb://… --scope a b"
	if o.Command != want || o.Real != "ada" || o.User == "" || o.PID == 0 {
		t.Errorf("got  %+v\nwant %s", o, want)
	}
}
