package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// settings are the flags as given.
type settings struct {
	url                        string
	scenarios                  []string
	clientID, clientSecretFile string
	username, passwordFile     string
	scope                      string
	usersFile                  string
	clients, rounds            int
	duration, warmup           time.Duration
	maxRequests                int64
	floors                     bool
	argon2, floorDir           string
	pid                        int
	allowRemote                bool
	output                     string
}

// bench checks the settings, reads the secrets that they name and returns the
// bench that they describe. The files are read only after everything else was
// found in order.
func (s settings) bench(stdin io.Reader) (*bench, error) {
	if err := s.checkBounds(); err != nil {
		return nil, err
	}
	if s.url == "" {
		return nil, errors.New("--url is required: the server's issuer, such as http://127.0.0.1:8080")
	}
	tgt, err := parseTarget(s.url, s.allowRemote)
	if err != nil {
		return nil, err
	}
	chosen, err := chooseScenarios(s.scenarios)
	if err != nil {
		return nil, err
	}
	cost, err := parseArgon2(s.argon2)
	if err != nil {
		return nil, err
	}
	if err := s.checkCredentials(chosen); err != nil {
		return nil, err
	}
	creds, err := s.readCredentials(stdin)
	if err != nil {
		return nil, err
	}
	pid, err := s.serverPID(tgt)
	if err != nil {
		return nil, err
	}
	return &bench{
		target:      tgt,
		scenarios:   chosen,
		credentials: creds,
		load:        load{warmup: s.warmup, duration: s.duration, maxRequests: s.maxRequests},
		clients:     s.clients,
		rounds:      s.rounds,
		floors:      s.floors,
		argon2:      cost,
		floorDir:    s.floorDir,
		pid:         pid,
	}, nil
}

// checkBounds refuses what would run without end or ask for the absurd.
func (s settings) checkBounds() error {
	switch {
	case s.clients < 1 || s.clients > 1024:
		return fmt.Errorf("--clients %d: must be 1 to 1024", s.clients)
	case s.rounds < 1 || s.rounds > 25:
		return fmt.Errorf("--rounds %d: must be 1 to 25", s.rounds)
	case s.duration < 10*time.Millisecond || s.duration > 10*time.Minute:
		return fmt.Errorf("--duration %v: must be 10ms to 10m", s.duration)
	case s.warmup < 0 || s.warmup > time.Minute:
		return fmt.Errorf("--warmup %v: must be 0s to 1m", s.warmup)
	case s.maxRequests < 1 || s.maxRequests > 1_000_000_000:
		return fmt.Errorf("--max-requests %d: must be 1 to 1000000000", s.maxRequests)
	case s.pid < 0:
		return fmt.Errorf("--pid %d: must be the id of a process", s.pid)
	case s.output != "text" && s.output != "json":
		return fmt.Errorf("--output %q: must be text or json", s.output)
	}
	return nil
}

// checkCredentials tells which flag is missing for which scenario.
func (s settings) checkCredentials(chosen []scenario) error {
	if s.usersFile != "" && (s.username != "" || s.passwordFile != "") {
		return errors.New("--users-file: cannot be combined with --username or --password-file")
	}
	if (s.username == "") != (s.passwordFile == "") {
		return errors.New("--username and --password-file: give both or neither")
	}
	if countDashes(s.clientSecretFile, s.passwordFile, s.usersFile) > 1 {
		return errors.New("standard input (-) can be given for one file only")
	}
	hasUser := s.username != "" || s.usersFile != ""
	for _, sc := range chosen {
		switch {
		case sc.needsClient && s.clientID == "":
			return fmt.Errorf("scenario %s needs --client-id", sc.name)
		case sc.needsSecret && s.clientSecretFile == "":
			return fmt.Errorf("scenario %s needs --client-secret-file", sc.name)
		case sc.needsUser && !hasUser:
			return fmt.Errorf("scenario %s needs --username and --password-file, or --users-file", sc.name)
		}
	}
	return nil
}

func countDashes(files ...string) int {
	n := 0
	for _, f := range files {
		if f == "-" {
			n++
		}
	}
	return n
}

// readCredentials reads the files that hold secrets.
func (s settings) readCredentials(stdin io.Reader) (credentials, error) {
	c := credentials{clientID: s.clientID, scope: s.scope}
	if s.clientSecretFile != "" {
		secret, err := readSecret(s.clientSecretFile, stdin)
		if err != nil {
			return c, fmt.Errorf("--client-secret-file: %w", err)
		}
		c.clientSecret = secret
	}
	if s.passwordFile != "" {
		password, err := readSecret(s.passwordFile, stdin)
		if err != nil {
			return c, fmt.Errorf("--password-file: %w", err)
		}
		c.users = []user{{name: s.username, password: password}}
	}
	if s.usersFile != "" {
		users, err := readUsers(s.usersFile, stdin)
		if err != nil {
			return c, fmt.Errorf("--users-file: %w", err)
		}
		c.users = users
	}
	return c, nil
}

// serverPID returns the process to account for, 0 where none is known.
func (s settings) serverPID(t *target) (int, error) {
	if s.pid != 0 {
		if _, err := (process{root: "/proc", pid: s.pid}).usage(); err != nil {
			return 0, fmt.Errorf("--pid %d: %w", s.pid, err)
		}
		return s.pid, nil
	}
	if !t.loopback {
		return 0, nil
	}
	return listenerPID("/proc", t.port), nil
}

// chooseScenarios turns names into scenarios, each once, in the order of the
// full list.
func chooseScenarios(names []string) ([]scenario, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var chosen []scenario
	var known []string
	for _, sc := range allScenarios() {
		known = append(known, sc.name)
		if wanted["all"] || wanted[sc.name] {
			chosen = append(chosen, sc)
		}
		delete(wanted, sc.name)
	}
	delete(wanted, "all")
	for n := range wanted {
		return nil, fmt.Errorf("--scenario %q: must be %s or all", n, strings.Join(known, ", "))
	}
	if len(chosen) == 0 {
		return nil, errors.New("--scenario: give at least one")
	}
	return chosen, nil
}

// argon2Cost is what one hash of the password floor costs.
type argon2Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// parseArgon2 reads MEMORY_KIB,PASSES,LANES.
func parseArgon2(text string) (argon2Cost, error) {
	bad := fmt.Errorf("--argon2 %q: must be MEMORY_KIB,PASSES,LANES, such as 19456,2,1, "+
		"with at most 1048576 KiB, 64 passes and 64 lanes and 8 KiB or more for each lane", text)
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return argon2Cost{}, bad
	}
	limits := [3]uint64{1 << 20, 64, 64}
	var n [3]uint64
	for i, p := range parts {
		v, err := strconv.ParseUint(strings.TrimSpace(p), 10, 32)
		if err != nil || v < 1 || v > limits[i] {
			return argon2Cost{}, bad
		}
		n[i] = v
	}
	if n[0] < 8*n[2] {
		return argon2Cost{}, bad
	}
	return argon2Cost{MemoryKiB: uint32(n[0]), Passes: uint32(n[1]), Lanes: uint8(n[2])}, nil
}

// openSecretFile opens a file that is named by a flag; - is standard input.
func openSecretFile(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(name)
}
