// Package docs holds the documents that the server itself serves.
package docs

import _ "embed"

// OpenAPI describes every route, in OpenAPI 3.1 (YAML).
//
//go:embed openapi.yaml
var OpenAPI []byte

// source is where the pages are published.
const source = "https://github.com/keyturn/keyturn/blob/main/docs/"

// URL is where a page is published; page may end in the anchor of a heading,
// as in "operating.md#signing-keys".
func URL(page string) string { return source + page }
