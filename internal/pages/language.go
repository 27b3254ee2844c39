package pages

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/messages"
)

// messageFiles hold what the pages say. The member language is what a language calls
// itself.
//
//go:embed messages/*.json
var messageFiles embed.FS

// language is the language of a page.
type language struct {
	messages.Language
	// chosen says that it was asked for, and not only what the browser prefers.
	chosen bool
	// ctx is that of the request that the page answers.
	ctx context.Context
}

// readLanguages reads the files that are built in, and those of a directory, if it is
// named.
func readLanguages(dir string) (*messages.Languages, error) {
	builtIn, err := fs.Sub(messageFiles, "messages")
	if err != nil {
		return nil, err
	}
	return messages.Read(builtIn, dir, true)
}

// Languages lists the tags of the languages of the pages.
func (p *Pages) Languages() []string { return p.languages.Tags() }

// languageOf picks the language of a page: what was chosen on it, or what the client
// asked for (ui_locales, OpenID Connect Core §3.1.2.1), or else what the browser
// prefers.
func (p *Pages) languageOf(r *http.Request, locales string) language {
	chosen := r.URL.Query().Get("ui_locales")
	wanted := append(strings.Fields(chosen), strings.Fields(locales)...)
	return language{p.languages.Match(append(wanted, r.Header.Get("Accept-Language"))...), chosen != "", r.Context()}
}
