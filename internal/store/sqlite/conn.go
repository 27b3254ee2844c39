package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// The store uses the driver directly and not through database/sql: it has its
// own pool of long-lived connections, and the layer between would cost about as
// much as the lookups themselves.

// driverConn and driverStmt are the interfaces of the driver's types.
type driverConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
}

type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is one SQL text. Each connection compiles it at its first use.
type statement struct {
	index int
	text  string
	// writesClients says that the statement changes the table of clients.
	writesClients bool
}

// statements are all statements, by index.
var statements []*statement

// sql registers a statement. It is only called to set package variables.
func sql(text string) *statement {
	s := &statement{index: len(statements), text: text}
	statements = append(statements, s)
	return s
}

// clientWrite registers a statement that changes the table of clients. A
// connection that runs it drops its cached clients.
func clientWrite(text string) *statement {
	s := sql(text)
	s.writesClients = true
	return s
}

// conn is one connection to the file. It is not safe for concurrent use. A
// statement cannot be interrupted: each takes microseconds to milliseconds,
// less than making it interruptible costs.
type conn struct {
	driverConn
	compiled []driverStmt
	clients  clientCache
}

// Close closes the connection and its statements.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.compiled {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, c.driverConn.Close())...)
}

// ready returns a statement to be run next.
func (c *conn) ready(s *statement) (driverStmt, error) {
	if s.writesClients {
		c.clients.byID = nil
	}
	if c.compiled == nil {
		c.compiled = make([]driverStmt, len(statements))
	}
	if stmt := c.compiled[s.index]; stmt != nil {
		return stmt, nil
	}
	prepared, err := c.Prepare(s.text)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(driverStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlite driver's statement is an unknown %T", prepared), prepared.Close())
	}
	c.compiled[s.index] = stmt
	return stmt, nil
}

// script runs SQL that is neither registered nor cached, and that changes no
// client.
func (c *conn) script(text string) error {
	_, err := c.ExecContext(context.Background(), text, nil)
	return err
}

// exec runs a statement that returns no rows, and returns how many rows it
// changed.
func (c *conn) exec(s *statement, args ...driver.Value) (int, error) {
	stmt, err := c.ready(s)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), number(args))
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// list runs a statement and scans the rows that it returns.
func list[T any](c *conn, s *statement, scan func(r *row) T, args ...driver.Value) (found []T, err error) {
	stmt, err := c.ready(s)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(context.Background(), number(args))
	if err != nil {
		return nil, err
	}
	defer func() {
		// Close the rows even after a panic in scan: open rows keep the
		// connection from seeing later commits.
		if err = errors.Join(err, rows.Close()); err != nil {
			found = nil
		}
	}()
	r := row{columns: rows.Columns()}
	r.values = make([]driver.Value, len(r.columns))
	for err == nil {
		// A write that returns rows must be stepped to its end too.
		if err = rows.Next(r.values); err == nil {
			r.next = 0
			found = append(found, scan(&r))
			err = r.err
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return found, err
}

// one runs a statement that returns at most one row. Without a row its error is
// missing.
func one[T any](c *conn, s *statement, scan func(r *row) T, missing error, args ...driver.Value) (T, error) {
	found, err := list(c, s, scan, args...)
	if err == nil && len(found) == 0 {
		err = missing
	}
	if err != nil {
		var none T
		return none, err
	}
	return found[0], nil
}

// oneOrZero is like one, but returns the zero value for a missing row.
func oneOrZero[T any](c *conn, s *statement, scan func(r *row) T, args ...driver.Value) (found T, err error) {
	all, err := list(c, s, scan, args...)
	if len(all) > 0 {
		found = all[0]
	}
	return found, err
}

// exists reports whether a statement returns any row.
func exists(c *conn, s *statement, args ...driver.Value) (bool, error) {
	found, err := list(c, s, func(r *row) int64 { return r.integer() }, args...)
	return len(found) > 0, err
}

func number(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}
