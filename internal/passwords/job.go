package passwords

// job is one long computation.
type job struct {
	// Password is in one of the forms that a Hasher tries. It may be any bytes.
	Password []byte
	// Make, unless zero, asks for a new hash of Password.
	Make Params `json:",omitzero"`
	// Hash is an encoded hash of any bytes. The job checks whether Password has it
	// or, if Spend is not 0, does that much of the checking work.
	Hash  []byte `json:",omitempty"`
	Spend uint64 `json:",omitempty"`
	// Large says that the job takes more memory than a hash of the current
	// parameters.
	Large bool `json:",omitempty"`
}

// result is the result of a job.
type result struct {
	Made    string `json:",omitempty"`
	Matches bool   `json:",omitempty"`
}

// computer runs jobs, one at a time.
type computer interface {
	do(job) (result, error)
}

// here runs jobs in this process.
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
