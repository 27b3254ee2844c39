package verify

// What tests outside the package look at.
const (
	Red       = red
	Green     = green
	PollEvery = pollEvery
)

var (
	Bare   = bare
	Sorted = sorted
	LogsOf = logsOf
	FormOf = formOf
)
