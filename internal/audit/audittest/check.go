// Package audittest holds what tests have recorded against the vocabulary of
// the audit log.
package audittest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// Check reports what an event has that the vocabulary does not say of its
// action: an outcome, a reason with that outcome, a field.
func Check(e audit.Event) error {
	var line bytes.Buffer
	log, err := auditlog.Open(auditlog.Options{Writer: &line, Node: "test", Version: "1"})
	if err != nil {
		return err
	}
	if err := log.Record(context.Background(), e); err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	return CheckLine(bytes.TrimSpace(line.Bytes()))
}

// CheckLine is Check for a line of a log, whose fields of every event and every
// request it looks at as well.
func CheckLine(line []byte) error {
	fields, err := Flatten(line)
	if err != nil {
		return err
	}
	action := audit.Action(text(fields["event.action"]))
	at := slices.IndexFunc(audit.Vocabulary(), func(t audit.Term) bool { return t.Action == action })
	if at < 0 {
		return fmt.Errorf("%q is no action", action)
	}
	term := audit.Vocabulary()[at]
	if why := checkReason(term, text(fields["event.outcome"]), text(fields["event.reason"])); why != nil {
		return why
	}
	for _, field := range audit.Fields() {
		_, has := fields[field.Name]
		switch {
		case field.Of == audit.OfEvery && !has:
			return fmt.Errorf("%s: %s is missing", action, field.Name)
		case field.Of == audit.OfSome && has && field.Name != "event.reason" && !slices.Contains(term.Fields, field.Name):
			return fmt.Errorf("%s: has %s, which is not one of its fields", action, field.Name)
		}
		delete(fields, field.Name)
	}
	for name := range fields {
		return fmt.Errorf("%s: %s is no field of any event", action, name)
	}
	return nil
}

func checkReason(term audit.Term, outcome, reason string) error {
	allowed := term.Failure
	if outcome == string(audit.Success) {
		allowed = term.Success
	}
	if !slices.ContainsFunc(allowed, func(r audit.Reason) bool { return r.String() == reason }) {
		return fmt.Errorf("%s: %s with the reason %q is not in the vocabulary", term.Action, outcome, reason)
	}
	return nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// Flatten returns the fields of a line by their names in audit.Fields.
func Flatten(line []byte) (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal(line, &object); err != nil {
		return nil, fmt.Errorf("not JSON: %w: %s", err, line)
	}
	fields := map[string]any{}
	flatten(fields, "", object)
	return fields, nil
}

func flatten(into map[string]any, prefix string, object map[string]any) {
	for name, value := range object {
		if inner, ok := value.(map[string]any); ok {
			flatten(into, prefix+name+".", inner)
			continue
		}
		into[prefix+name] = value
	}
}
