package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	// buildTime bounds the creation of one index. It is practically unlimited, but
	// without it the driver's timeout for all operations would apply.
	buildTime = 20 * 24 * time.Hour
	// progressEvery is how often the progress of a build is reported.
	progressEvery = 15 * time.Second
	// firstRetry is how long after a round that failed the next one begins. The wait
	// doubles up to maxRetry.
	firstRetry = 5 * time.Second
	maxRetry   = 10 * time.Minute
)

// Indexes says which missing indexes Open creates.
type Indexes int

// Open always waits for the indexes that keep two records from having the same
// name, and for those of new collections, which take no time.
const (
	// AllIndexes creates the others while the store is in use. Without them the
	// store is slower but correct.
	AllIndexes Indexes = iota
	// NeededIndexes leaves the others to the next Open. It is for a command that
	// ends before they would be ready.
	NeededIndexes
	// NoIndexes creates none. It is for callers that only read.
	NoIndexes
)

// makeIndexes creates the missing indexes.
//
// It also requests indexes that exist, because a server lists an index that it is
// still building like a finished one. The request waits for the build, so that
// replicas, which all go through the same list, build one index at a time.
func (s *Store) makeIndexes(ctx context.Context, which Indexes) error {
	if which == NoIndexes {
		return nil
	}
	standing, err := s.standing(ctx)
	if err != nil {
		return err
	}
	for _, problem := range s.strangers(standing) {
		s.warn(problem)
	}
	var later []index
	for _, i := range s.indexes() {
		all := standing[i.on]
		problem := i.problem(all)
		switch fresh := len(all) == 0; {
		case problem != "" && problem != i.missing():
			if i.unique {
				return fmt.Errorf("mongodb: %s", problem)
			}
			s.warn(problem)
		case i.unique || fresh:
			if err := s.make(ctx, i); err != nil {
				return err
			}
		case problem == "" && !i.named(all):
			// One of another name does the same.
		default:
			later = append(later, i)
		}
	}
	switch {
	case which != AllIndexes:
		return nil
	case len(later) == 0:
		return s.dropOutlived(ctx)
	}
	s.makeLater(ctx, later)
	return nil
}

// warn says that something is wrong with an index until somebody mends it.
func (s *Store) warn(problem string) {
	s.indexesWrong = true
	s.say(true, problem)
}

// dropOutlived drops the indexes of earlier versions.
func (s *Store) dropOutlived(ctx context.Context) error {
	for _, i := range s.outlived() {
		if err := i.drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeLater creates indexes one after the other, and those that failed again, until
// Close. Migrate waits for the first round. The indexes of earlier versions are
// dropped after it even if something failed, because by some of them the server
// deletes.
func (s *Store) makeLater(ctx context.Context, all []index) {
	ctx, s.stopBuilding = context.WithCancel(context.WithoutCancel(ctx))
	s.built = make(chan error, 1)
	go func() {
		left, err := s.makeEach(ctx, all)
		s.built <- errors.Join(err, s.dropOutlived(ctx))
		for wait := s.retryAfter; len(left) > 0; wait = min(2*wait, maxRetry) {
			s.indexesFailed.Store(true)
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			left, _ = s.makeEach(ctx, left)
		}
		s.indexesFailed.Store(false)
	}()
}

// makeEach creates indexes, and returns those that failed.
func (s *Store) makeEach(ctx context.Context, all []index) (left []index, err error) {
	for _, i := range all {
		failure := s.make(ctx, i)
		if failure == nil {
			continue
		}
		left, err = append(left, i), errors.Join(err, failure)
		if ctx.Err() == nil {
			s.say(true, fmt.Sprintf("%v; the store works without it, but slower, and a server tries again at the latest after %v", failure, maxRetry))
		}
	}
	return left, err
}

// IndexesMissing reports whether an index that the store needs to be fast could not be
// made, or one is wrong or makes the server delete or refuse.
func (s *Store) IndexesMissing() bool { return s.indexesWrong || s.indexesFailed.Load() }

// Migrate waits until every index is ready, including those that Open creates in
// the background.
func (s *Store) Migrate(ctx context.Context) error {
	if s.built == nil {
		return nil
	}
	select {
	case err := <-s.built:
		s.built <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// make creates one index, however long that takes.
func (s *Store) make(ctx context.Context, i index) error {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	begun := time.Now()
	stop := make(chan struct{})
	defer close(stop)
	go s.report(ctx, i, begun, stop)
	err := i.create(ctx)
	if err == nil && time.Since(begun) > progressEvery {
		s.say(false, fmt.Sprintf("the index %s of %s stands after %s", i.name, i.on.Name(), time.Since(begun).Round(time.Second)))
	}
	return failed(fmt.Sprintf("creating the index %s on %s", i.name, i.on.Name()), err)
}

// report reports the progress of building an index until stop is closed.
func (s *Store) report(ctx context.Context, i index, begun time.Time, stop chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.say(false, fmt.Sprintf("making the index %s of %s since %s%s",
				i.name, i.on.Name(), time.Since(begun).Round(time.Second), s.progress(ctx, i)))
		}
	}
}

// progress returns the server's progress of the build, or "" if the server does
// not report it.
func (s *Store) progress(ctx context.Context, i index) string {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	cursor, err := s.client.Database("admin").Aggregate(ctx, mongo.Pipeline{
		{{Key: "$currentOp", Value: bson.M{}}},
		{{Key: "$match", Value: bson.M{"command.createIndexes": i.on.Name(), "command.$db": i.on.Database().Name(), "msg": bson.M{"$exists": true}}}},
	})
	if err != nil {
		return ""
	}
	var at []struct {
		Message string `bson:"msg"`
	}
	if err := cursor.All(ctx, &at); err != nil || len(at) == 0 {
		return ""
	}
	return ": " + at[0].Message
}

func (s *Store) say(wrong bool, line string) {
	if s.log != nil {
		s.log(wrong, line)
	}
}
