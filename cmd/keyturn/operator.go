package main

import (
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
)

// operator returns who runs this command. It omits the only possible secrets of a
// command line, the credentials in a store's URI.
func operator(args, environ []string) audit.Operator {
	o := audit.Operator{PID: os.Getpid(), User: strconv.Itoa(os.Geteuid())}
	if u, err := user.LookupId(o.User); err == nil {
		o.User = u.Username
	}
	for _, v := range environ {
		if name, ok := strings.CutPrefix(v, "SUDO_USER="); ok {
			o.Real = name
		}
	}
	shown := make([]string, len(args))
	for i, a := range args {
		shown[i] = withoutCredentials(a)
	}
	o.Command = strings.Join(append([]string{"keyturn"}, shown...), " ")
	return o
}

// withoutCredentials masks the user information of a URI in an argument.
func withoutCredentials(arg string) string {
	flag, value, given := strings.Cut(arg, "=")
	if !given || !strings.HasPrefix(flag, "-") {
		flag, value = "", arg
	} else {
		flag += "="
	}
	if !strings.Contains(value, "://") {
		return arg
	}
	u, err := url.Parse(value)
	if err != nil {
		return flag + value[:strings.Index(value, "://")+3] + "…"
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	u.RawQuery = ""
	return flag + u.String()
}
