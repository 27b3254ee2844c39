package passwords

// job is one computation that takes long.
type job struct {
	// Password is in one of the forms that a Hasher tries; it may be any bytes.
	Password []byte
	// Make, unless it is zero, asks for a new hash of Password.
	Make Params `json:",omitzero"`
	// Hash is encoded, and may be any bytes too. The job asks whether Password has
	// it or, unless Spend is 0, for so much of the work that finding out takes.
	Hash  []byte `json:",omitempty"`
	Spend uint64 `json:",omitempty"`
	// Large says that this takes more memory than the hashes that are made here.
	Large bool `json:",omitempty"`
}

// result is what a job came to.
type result struct {
	Made    string `json:",omitempty"`
	Matches bool   `json:",omitempty"`
}

// computer does jobs, one at a time.
type computer interface {
	do(job) (result, error)
}

// here does jobs in this process.
type here struct{}

func (here) do(j job) (result, error) {
	password := string(j.Password)
	if j.Make != (Params{}) {
		return result{Made: hashArgon2id(j.Make, password).encode()}, nil
	}
	hash, err := Parse(string(j.Hash))
	if err != nil {
		return result{}, err
	}
	if j.Spend > 0 {
		hash.spend(j.Spend, password)
		return result{}, nil
	}
	return result{Matches: hash.matches(password)}, nil
}
