// The functions of inside.go have their bodies in golang.org/x/crypto.
