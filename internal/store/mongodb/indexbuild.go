package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	// buildTime bounds the making of one index: as good as not at all, but
	// without a bound of its own the driver's for all operations would hold.
	buildTime = 20 * 24 * time.Hour
	// progressEvery is how often a build that goes on is reported.
	progressEvery = 15 * time.Second
)

// Indexes says which of the indexes that are missing Open makes.
type Indexes int

// Who opens a store waits for those that keep two records from having one name,
// and for those of collections that are not there yet, which take no time.
const (
	// AllIndexes makes the others while the store is in use already, which is
	// slower without them and no less right.
	AllIndexes Indexes = iota
	// NeededIndexes leaves the others to whoever opens the store next: for a
	// command that ends before they would stand.
	NeededIndexes
	// NoIndexes leaves all as it is: for who only looks.
	NoIndexes
)

// makeIndexes makes the indexes that are missing.
//
// An index that stands is asked for too: a server lists one that it is making
// like one that is made. It lets whoever asks for it wait, so that replicas, which
// all go through the same list, make one index at a time.
func (s *Store) makeIndexes(ctx context.Context, which Indexes) error {
	if which == NoIndexes {
		return nil
	}
	var later []index
	before := map[*mongo.Collection][]standing{}
	for _, i := range s.indexes() {
		all, listed := before[i.on]
		if !listed {
			var err error
			if all, err = standingOn(ctx, i.on); err != nil {
				return err
			}
			before[i.on] = all
		}
		problem := i.problem(all)
		switch fresh := len(all) == 0; {
		case problem != "" && problem != i.missing():
			if i.unique {
				return fmt.Errorf("mongodb: %s", problem)
			}
			s.say(true, problem)
		case i.unique || fresh:
			if err := s.make(ctx, i); err != nil {
				return err
			}
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

// dropOutlived is for when those stand that have taken their place.
func (s *Store) dropOutlived(ctx context.Context) error {
	for _, i := range s.outlived() {
		if err := i.drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeLater makes indexes one after the other, until Close. Migrate waits for it.
func (s *Store) makeLater(ctx context.Context, all []index) {
	ctx, s.stopBuilding = context.WithCancel(context.WithoutCancel(ctx))
	s.built = make(chan error, 1)
	go func() {
		var err error
		for _, i := range all {
			if err = s.make(ctx, i); err != nil {
				s.say(true, err.Error()+"; the next start makes it, or keyturn store migrate")
				break
			}
		}
		if err == nil {
			err = s.dropOutlived(ctx)
		}
		s.built <- err
	}()
}

// Migrate waits until every index stands, with those which Open left to be made
// while the store is in use.
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

// make makes one index, however long that takes.
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

// report says how far the making of an index is, until stop is closed.
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

// progress asks the server how far it is; empty if it does not say.
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
