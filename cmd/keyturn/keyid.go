package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// dashedKID matches a kid that looks like a flag, as earlier versions made them. No
// flag of ours is as long.
var dashedKID = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// takesKID marks the commands whose argument is a kid.
const takesKID = "takes-kid"

// kidsLast moves kids that begin with a dash behind "--", for a command whose
// argument is a kid, so that users need not do so. The argument after a flag that
// takes a value is that value.
func kidsLast(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Annotations[takesKID] == "" || slices.Contains(args, "--") {
		return args
	}
	var rest, kids []string
	for i, arg := range args {
		if dashedKID.MatchString(arg) && (i == 0 || !wantsValue(cmd, args[i-1])) {
			kids = append(kids, arg)
		} else {
			rest = append(rest, arg)
		}
	}
	if len(kids) == 0 {
		return args
	}
	return append(append(rest, "--"), kids...)
}

// wantsValue reports whether arg is a flag of cmd whose value is the next argument.
func wantsValue(cmd *cobra.Command, arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	if !long || strings.Contains(name, "=") {
		return false
	}
	flag := cmd.Flag(name)
	return flag != nil && flag.NoOptDefVal == ""
}

// flagError returns the error for a flag that does not exist, which may be an id
// that begins with a dash.
func flagError(_ *cobra.Command, err error) error {
	if strings.HasPrefix(err.Error(), "unknown shorthand") {
		err = fmt.Errorf("%w (an id that begins with a dash stands last, behind --)", err)
	}
	return usageError{err}
}

// errDashedID refuses new ids that could not be pasted into a command.
var errDashedID = errors.New("an id that begins with a dash would be read as a flag; choose another")
