// Command openapicheck holds HTTP exchanges against an OpenAPI description. It
// is given the description's path, reads exchanges from standard input, a JSON
// object each, and prints what is wrong with them. It is a module of its own, so
// that its dependencies stay out of Keyturn's.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	validation "github.com/pb33f/libopenapi-validator/errors"
)

// exchange is one request and its answer. Good requests must be as described,
// too; others are refused by the server, and so is their description.
type exchange struct {
	Name          string
	Good          bool
	Method, URL   string
	Header        http.Header
	Body          []byte
	Status        int
	AnswerHeader  http.Header
	AnswerContent []byte
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if ok, found := v.ValidateDocument(); !ok {
		report("the description", found)
	}
	for in := json.NewDecoder(os.Stdin); ; {
		var x exchange
		if err := in.Decode(&x); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := check(v, x); err != nil {
			return err
		}
	}
}

func check(v validator.Validator, x exchange) error {
	req, err := http.NewRequest(x.Method, x.URL, bytes.NewReader(x.Body))
	if err != nil {
		return err
	}
	req.Header = x.Header
	if x.Good {
		if ok, found := v.ValidateHttpRequest(req); !ok {
			report(x.Name+": request", found)
		}
		req.Body = io.NopCloser(bytes.NewReader(x.Body))
	}
	answer := &http.Response{StatusCode: x.Status, Header: x.AnswerHeader, Body: io.NopCloser(bytes.NewReader(x.AnswerContent)), Request: req}
	if ok, found := v.ValidateHttpResponse(req, answer); !ok {
		report(fmt.Sprintf("%s: %s %s answered %d", x.Name, x.Method, req.URL.Path, x.Status), found)
	}
	return nil
}

func report(where string, found []*validation.ValidationError) {
	for _, e := range found {
		fmt.Printf("%s: %s: %s", where, e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			fmt.Printf("; %s at %s", s.Reason, s.FieldPath)
		}
		fmt.Println()
	}
}
