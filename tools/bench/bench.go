package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// bench is everything that was asked for, checked.
type bench struct {
	target      *target
	scenarios   []scenario
	credentials credentials
	load        load
	clients     int
	rounds      int
	floors      bool
	argon2      argon2Cost
	floorDir    string
	// pid is the server's process, 0 where it is not known.
	pid int
	// progress gets a line for each run.
	progress io.Writer
}

// round is one run of the floor, where there is one, and then one of the server.
type round struct {
	floor  *measurement
	server measurement
}

// measure runs every scenario and returns the report. Requests that fail are in
// the report; an error means that there is none.
func (b *bench) measure(ctx context.Context) (*report, error) {
	rep := newReport(b, time.Now())
	for _, sc := range b.scenarios {
		rounds, err := b.scenario(ctx, sc)
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", sc.name, err)
		}
		rep.add(sc.name, rounds)
	}
	return rep, nil
}

// scenario runs one scenario, its floor and the server in turn.
func (b *bench) scenario(ctx context.Context, sc scenario) (rounds []round, err error) {
	sessions, err := sc.open(ctx, b.target, b.credentials, b.clients)
	if err != nil {
		return nil, err
	}
	var runFloor func() (measurement, error)
	if b.floors {
		f, run, err := b.startFloor(ctx, sc)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.stop()) }()
		runFloor = run
	}
	for i := range b.rounds {
		var r round
		if runFloor != nil {
			m, err := runFloor()
			if err != nil {
				return nil, fmt.Errorf("floor: %w", err)
			}
			r.floor = &m
			b.say(sc.name, i, "floor", m)
		}
		if r.server, err = b.load.run(ctx, b.target, sessions, b.pid); err != nil {
			return nil, err
		}
		b.say(sc.name, i, "server", r.server)
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// startFloor starts the scenario's floor and returns it with what runs it once.
func (b *bench) startFloor(ctx context.Context, sc scenario) (*floor, func() (measurement, error), error) {
	order, err := sc.floor(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	f, err := startFloor(ctx, order, b.floorDir)
	if err != nil {
		return nil, nil, err
	}
	if sc.replay == nil {
		return f, func() (measurement, error) { return f.hash(b.load) }, nil
	}
	t, err := f.target()
	if err != nil {
		return nil, nil, errors.Join(err, f.stop())
	}
	sessions := sc.replay(t, b.credentials, f.ready, b.clients)
	return f, func() (measurement, error) { return b.load.run(ctx, t, sessions, f.pid()) }, nil
}

func (b *bench) say(scenario string, i int, who string, m measurement) {
	fmt.Fprintf(b.progress, "%s %d/%d: %s %.1f/s", scenario, i+1, b.rounds, who, m.rate())
	if n := m.failed(); n > 0 {
		fmt.Fprintf(b.progress, ", %d failed", n)
	}
	fmt.Fprintln(b.progress)
}
