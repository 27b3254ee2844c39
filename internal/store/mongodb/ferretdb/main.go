// Command ferretdb runs FerretDB v1.24, a server that speaks MongoDB's wire
// protocol, in process and on this machine only, so that tests have a server
// where no mongod can be installed. It is a module of its own because its
// dependencies have no business in Keyturn's.
//
// It prints the mongodb:// URI of its server as one line on standard output and
// stops on SIGTERM, on SIGINT or when standard input ends, whichever comes first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	dir := flag.String("dir", "", "directory of the data; a temporary one, removed at the end, if empty")
	listen := flag.String("listen", "127.0.0.1:0", "address to serve on")
	serialize := flag.Bool("serialize", false, "let one command at a time through, which makes updates of a document atomic")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := run(ctx, *dir, *listen, *serialize); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, dir, listen string, serialize bool) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "keyturn-ferretdb-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	inner := listen
	if serialize {
		inner = "127.0.0.1:0"
	}
	f, err := start(dir, inner)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { done <- f.Run(inside) }()
	defer func() {
		stop()
		<-done
	}()
	uri := f.MongoDBURI()
	if serialize {
		at, err := url.Parse(uri)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		s := &serializer{server: at.Host}
		go s.serve(l)
		defer l.Close()
		uri = "mongodb://" + l.Addr().String() + "/"
	}
	fmt.Println(uri)
	select {
	case <-ctx.Done():
		return nil
	case err := <-done:
		done <- err
		return errors.Join(errors.New("the server stopped by itself"), err)
	}
}

// start opens FerretDB on the data in dir. Nothing is reported to anyone: the
// embedded server has no telemetry. SQLite need not reach the disk with each
// write, for what matters here outlives this process at most.
func start(dir, listen string) (*ferretdb.FerretDB, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	data := url.URL{Scheme: "file", Path: dir + "/", RawQuery: "_pragma=synchronous(off)"}
	return ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + data.EscapedPath() + "?" + data.RawQuery,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
}
