// Package docs holds the documents that the server itself serves.
package docs

import _ "embed"

// OpenAPI describes every route, in OpenAPI 3.1 (YAML).
//
//go:embed openapi.yaml
var OpenAPI []byte
