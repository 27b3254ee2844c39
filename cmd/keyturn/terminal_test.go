package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// steering is what a stranger could send to move the cursor, to hide text, to
// turn it round, or to make a line or a column of its own.
const steering = "a\x1b[2J\u009b31m\u202eb\x7f\r\n\tc\xff\U000e0041 é"

// TestPrintingSteersNoTerminal prints what strangers sent as a text, in a table
// and as JSON.
func TestPrintingSteersNoTerminal(t *testing.T) {
	var out strings.Builder
	p := &program{stdout: &out}
	if err := p.print(nil, func(w io.Writer) { table(w, "A\tB", func(row func(...any)) { row(steering, "end") }) }); err != nil {
		t.Fatal(err)
	}
	const cell = `a\x1b[2J\u009b31m\u202eb\x7f\r\n\tc\xff\U000e0041 é`
	if lines := strings.Split(out.String(), "\n"); len(lines) != 3 || lines[1] != cell+"  end" {
		t.Errorf("the table is %q", out.String())
	}
	out.Reset()
	if err := p.print(nil, func(w io.Writer) { _, _ = io.WriteString(w, steering) }); err != nil || out.String() != `a\x1b[2J\u009b31m\u202eb\x7f\r`+"\n\tc"+`\xff\U000e0041 é` {
		t.Errorf("the text is %q, %v", out.String(), err)
	}
	out.Reset()
	var back string
	if err := p.printJSON(steering); err != nil || json.Unmarshal([]byte(out.String()), &back) != nil {
		t.Fatalf("the JSON is %q, %v", out.String(), err)
	}
	if want := strings.ToValidUTF8(steering, "\ufffd"); back != want || strings.ContainsAny(out.String(), "\x1b\u009b\u202e\x7f\r\t\U000e0041") {
		t.Errorf("the JSON is %q, and says %q", out.String(), back)
	}
}
