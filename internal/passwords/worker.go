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

// A server hashes in separate processes of its own program, one for each slot. A hash
// computes for tens of milliseconds and fills tens of megabytes. In the server it
// would keep Go's scheduler from requests that take microseconds, and its memory
// would drive the server's garbage collector. Between processes the operating system
// schedules, and workers have a lower priority.
//
// A worker reads one job a line from its standard input and writes one result a line
// to its standard output. It shares standard error with the server. It has nothing
// else of the server: no argument but its name, no environment but GOMAXPROCS, no
// other file. It ends at the end of its input, and so with the server, however the
// server ends.

// WorkerArgument is the only argument of a worker. A program that is started with it
// calls Work.
const WorkerArgument = "hash-worker"

// jobLimit bounds the time of one job. The costliest accepted hash takes seconds, and
// longer while the server needs the processor.
const jobLimit = time.Minute

// Work runs the jobs that it reads from in, until in ends.
func Work(in io.Reader, out io.Writer) error {
	// The signal that stops the server is often sent to all of its processes, and the
	// server may need this one until its last request is answered.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	prepare()
	// Work collects a job's memory after the job, while nobody waits. During a job
	// there is nothing to collect.
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

// worker is a computer in a separate process, which is replaced when it ends.
type worker struct {
	process *exec.Cmd // nil if there is none
	jobs    *json.Encoder
	results *json.Decoder
	// lanes is the number of processors that a hash of the current parameters uses.
	// More processors would take part in every collection, which costs a twelfth of a
	// hash's processor time.
	lanes uint8
	// onEnd is called with the reason why a process ended or could not be started.
	onEnd func(error)
}

// do retries a job once, in a new process, if its process ended.
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

// ownProgram returns the path of the running program, even after a new version
// replaced the file.
func ownProgram() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}
