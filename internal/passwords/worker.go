package passwords

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// A server hashes in processes of its own program, one for each slot. A hash
// computes for tens of milliseconds and fills tens of megabytes: in the server it
// would keep Go's scheduler from requests that take microseconds, and its memory
// would set the pace of the server's collector. Between processes the operating
// system decides whose turn it is, and these give way.
//
// A worker is told one job a line on its standard input and answers in a line on
// its standard output; where it complains is where the server does. It has nothing
// else of the server: no argument but its name, no environment but how many
// processors to use, no other file. It ends when its input does, and so with the
// server, however that ends.

// WorkerArgument is the only argument of a worker: a program that serves calls
// Work when it is started with it.
const WorkerArgument = "hash-worker"

// jobLimit bounds how long a worker may take for one job. The costliest hash that
// is accepted takes seconds, and more where the server needs the processor.
const jobLimit = time.Minute

// Work is all that a worker does: the jobs that come from in, until it ends.
func Work(in io.Reader, out io.Writer) error {
	// What ends the server is often sent to all of its processes, and the server
	// may need this one until its last request is answered.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	giveWay()
	// A job's memory is collected after it, while nobody waits, and the next takes
	// the same. In the midst of a job there is nothing to collect.
	debug.SetGCPercent(-1)
	jobs, results := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a job: %w", err)
		}
		r, err := here{}.do(j)
		if err == nil {
			err = results.Encode(r)
		}
		if err != nil {
			return fmt.Errorf("do a job: %w", err)
		}
		if j.Large {
			debug.FreeOSMemory() // collects, too
		} else {
			runtime.GC()
		}
	}
}

// worker is a computer in a process of its own, which is replaced when it ends.
type worker struct {
	process *exec.Cmd // nil if there is none
	jobs    *json.Encoder
	results *json.Decoder
	// lanes is how many processors a hash of the current parameters uses. With more
	// than that, those left over would take part in every collection, at a twelfth of
	// a hash's processor time.
	lanes uint8
	// onEnd is told why a process ended or could not be started.
	onEnd func(error)
}

// do has a second process do what one died of, and no third.
func (w *worker) do(j job) (result, error) {
	r, err := w.try(j)
	if err != nil {
		r, err = w.try(j)
	}
	return r, err
}

func (w *worker) try(j job) (r result, err error) {
	if w.process == nil {
		err = w.start()
	}
	if err == nil {
		process := w.process.Process
		limit := time.AfterFunc(jobLimit, func() { _ = process.Kill() })
		if err = w.jobs.Encode(j); err == nil {
			err = w.results.Decode(&r)
		}
		limit.Stop()
		if err == nil {
			return r, nil
		}
		_ = process.Kill()
		err = fmt.Errorf("ended: %w", errors.Join(w.process.Wait(), err))
		w.process = nil
	}
	w.onEnd(err)
	return result{}, err
}

func (w *worker) start() error {
	program, err := ownProgram()
	if err != nil {
		return fmt.Errorf("find the program to start: %w", err)
	}
	cmd := exec.Command(program, WorkerArgument)
	cmd.Args[0] = os.Args[0]
	cmd.Env = []string{fmt.Sprintf("GOMAXPROCS=%d", w.lanes)}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = apart()
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return fmt.Errorf("make pipes: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	w.process, w.jobs, w.results = cmd, json.NewEncoder(in), json.NewDecoder(out)
	return nil
}

// ownProgram is the file of the program that runs, even where a new version has
// taken its place.
func ownProgram() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}
