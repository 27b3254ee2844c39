// Package passwordstest holds password hashes that other systems made, for tests.
package passwordstest

import (
	_ "embed"
	"encoding/json"
)

// Password is what every Vector is a hash of.
const Password = "Grüße aus Königsberg 7"

// Vector is a hash of Password and the program that made it.
type Vector struct{ Name, Tool, Hash string }

//go:embed vectors.json
var file []byte

// Vectors returns all of them, by name.
func Vectors() map[string]Vector {
	var list []Vector
	if err := json.Unmarshal(file, &list); err != nil {
		panic(err) // the file is part of the program
	}
	vectors := map[string]Vector{}
	for _, v := range list {
		vectors[v.Name] = v
	}
	return vectors
}

// Hashes returns the hashes alone, by name.
func Hashes() map[string]string {
	hashes := map[string]string{}
	for name, v := range Vectors() {
		hashes[name] = v.Hash
	}
	return hashes
}
