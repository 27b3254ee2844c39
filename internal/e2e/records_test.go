package e2e

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// records are what the store has of one kind, behind the back of the server: a
// line of JSON for each, with every field but version, which counts writes and
// goes back for none.
func (d *deployment) records(t *testing.T, kind string) (lines []string) {
	t.Helper()
	rows := d.documents
	if strings.HasPrefix(d.store, "sqlite:") {
		rows = d.rows
	}
	all, err := rows(t, kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		delete(row, "version")
		for field, v := range row {
			row[field] = legible(v)
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// legible has bytes be text, as proposals are.
func legible(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case bson.Binary:
		return string(v.Data)
	case bson.D:
		for i := range v {
			v[i].Value = legible(v[i].Value)
		}
	}
	return v
}

func (d *deployment) rows(_ *testing.T, kind string) (all []map[string]any, err error) {
	db, err := sql.Open("sqlite", "file:"+d.file()+"?mode=ro&_pragma=busy_timeout(20000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	table := map[string]string{"denied_tokens": "denied"}[kind]
	if table == "" {
		table = kind
	}
	rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		row := map[string]any{}
		for i, c := range columns {
			row[c] = values[i]
		}
		all = append(all, row)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

func (d *deployment) documents(t *testing.T, kind string) (all []map[string]any, err error) {
	u, err := url.Parse(d.store)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(d.store))
	if err != nil {
		return nil, err
	}
	defer client.Disconnect(t.Context())
	cursor, err := client.Database(strings.TrimPrefix(u.Path, "/")).Collection(kind).
		Find(t.Context(), bson.M{}, options.Find().SetSort(bson.M{"_id": 1}))
	if err != nil {
		return nil, err
	}
	return all, cursor.All(t.Context(), &all)
}
