// Package server puts the handlers behind one gorilla/mux router and runs the
// listeners: route classes with their headers, limits and CORS, request ids,
// metrics, graceful shutdown.
package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/keyturn/keyturn/docs"
	"github.com/keyturn/keyturn/internal/firstparty"
	"github.com/keyturn/keyturn/internal/pages"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/wellknown"
)

// Handlers are what the routes lead to.
type Handlers struct {
	OAuth *oauth.Service
	Pages *pages.Pages
	JWKS  *wellknown.JWKS
	// Metadata is served at both well-known metadata paths.
	Metadata *wellknown.Metadata
	Health   *Health
	// FirstParty answers the /auth routes, which are not there where it is nil.
	FirstParty *firstparty.Handlers
	// SignUp says whether people may make themselves an account, there and at the page.
	SignUp bool
	// Mail says whether letters can be sent; what needs one is not there without it.
	Mail bool
}

// router builds the table of routes. Every path answers the methods named and
// 405 with Allow to any other.
func (s *Server) router(h Handlers) http.Handler {
	r := mux.NewRouter()
	s.routes = r
	// A path is met as it was sent, or not at all: to clean it would be a redirect,
	// outside every class, to whatever host the request names.
	r.SkipClean(true)
	r.UseEncodedPath()
	r.NotFoundHandler = s.notFound()

	s.route(r, tokenClass, "/oauth/token", methods{"POST": h.OAuth.Token})
	s.route(r, tokenClass, "/oauth/par", methods{"POST": h.OAuth.Push})
	s.route(r, tokenClass, "/oauth/revoke", methods{"POST": h.OAuth.Revoke})
	s.route(r, tokenClass, "/oauth/introspect", methods{"POST": h.OAuth.Introspect})
	s.route(r, tokenClass, "/oauth/userinfo", methods{"GET": h.OAuth.UserInfo, "POST": h.OAuth.UserInfo})

	s.route(r, page, "/", methods{"GET": h.Pages.Lead})
	s.route(r, page, pages.AuthorizePath, methods{"GET": h.Pages.Authorize, "POST": h.Pages.AuthorizePosted})
	s.route(r, page, pages.EndSessionPath, methods{"GET": h.Pages.EndSession, "POST": h.Pages.EndSessionPosted})
	s.route(r, page, pages.AccountPath, methods{"GET": h.Pages.Account})
	s.route(r, page, pages.LogInPath, methods{"GET": h.Pages.AskLogIn, "POST": h.Pages.LogIn})
	s.route(r, page, pages.LogOutPath, methods{"GET": h.Pages.AskLogOut, "POST": h.Pages.LogOut})
	s.route(r, page, pages.PasswordPath, methods{"GET": h.Pages.AskPassword, "POST": h.Pages.ChangePassword})
	s.route(r, page, pages.ProfilePath, methods{"GET": h.Pages.Profile, "POST": h.Pages.ChangeProfile})
	s.route(r, page, pages.DataPath, methods{"GET": h.Pages.Data})
	s.route(r, page, pages.DeletePath, methods{"GET": h.Pages.AskDelete, "POST": h.Pages.Delete})
	s.route(r, page, pages.SessionsPath, methods{"GET": h.Pages.ListSessions, "POST": h.Pages.EndSessions})
	s.route(r, page, pages.FactorsPath, methods{"GET": h.Pages.Factors, "POST": h.Pages.ChangeFactors})
	s.route(r, page, pages.AppPath, methods{"GET": h.Pages.AskApp, "POST": h.Pages.AddApp})
	s.route(r, page, pages.ConsentPath, methods{"POST": h.Pages.Consent})
	s.route(r, page, pages.ApplicationsPath, methods{"GET": h.Pages.ListApplications, "POST": h.Pages.WithdrawConsent})
	s.route(r, page, pages.ResetPath, methods{"GET": h.Pages.AskReset, "POST": h.Pages.Reset})
	if h.Mail {
		s.route(r, page, pages.ConfirmPath, methods{"GET": h.Pages.AskConfirm, "POST": h.Pages.Confirm})
		s.route(r, page, pages.EmailPath, methods{"GET": h.Pages.AskEmail, "POST": h.Pages.ChangeEmail})
		s.route(r, page, pages.ForgotPath, methods{"GET": h.Pages.AskForgot, "POST": h.Pages.Forgot})
	}
	if h.SignUp {
		s.route(r, page, pages.SignUpPath, methods{"GET": h.Pages.AskSignUp, "POST": h.Pages.SignUp})
	}

	s.route(r, plain, "/healthz", methods{"GET": h.Health.Alive})
	s.route(r, plain, readyPath, methods{"GET": h.Health.Ready})

	if h.FirstParty != nil {
		s.firstPartyRoutes(r, h)
	}
	return s.documents(h, r)
}

// notFound answers a path that has no route: a person with a page, and a program with a
// problem.
func (s *Server) notFound() http.Handler {
	problems := s.class(plain, "not_found", func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.NotFound, "There is nothing at this path.")
	})
	people := s.class(page, "not_found", func(w http.ResponseWriter, r *http.Request) {
		s.pages.Absent(w, r, http.StatusNotFound)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readsPages(r) {
			people.ServeHTTP(w, r)
			return
		}
		problems.ServeHTTP(w, r)
	})
}

// readsPages reports whether a request is for somebody to read, as browsers say of those
// for what they show.
func readsPages(r *http.Request) bool {
	for accepted := range strings.SplitSeq(problem.Field(r, "Accept"), ",") {
		kind, _, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "text/html") {
			return true
		}
	}
	return false
}

// descriptionPath is where the description of all routes is served.
const descriptionPath = "/openapi.yaml"

// documents serves the public documents by their exact paths, and leads every
// other request on. They are most of a busy server's traffic, and the router's
// matching would be a third of their cost.
func (s *Server) documents(h Handlers, next http.Handler) http.Handler {
	s.byPath = map[string]http.Handler{
		wellknown.JWKSPath:                s.public(wellknown.JWKSPath, h.JWKS),
		wellknown.AuthorizationServerPath: s.public(wellknown.AuthorizationServerPath, h.Metadata),
		wellknown.OpenIDPath:              s.public(wellknown.OpenIDPath, h.Metadata),
		pages.StylePath:                   s.public(pages.StylePath, wellknown.NewStatic(h.Pages.Style(), "text/css; charset=utf-8", time.Hour)),
		pages.ScriptPath:                  s.public(pages.ScriptPath, wellknown.NewStatic(pages.Script, "text/javascript; charset=utf-8", time.Hour)),
		pages.PasskeyPath:                 s.public(pages.PasskeyPath, wellknown.NewStatic(pages.PasskeyScript, "text/javascript; charset=utf-8", time.Hour)),
		pages.IconPath:                    s.picture(pages.IconPath, h.Pages.Icon()),
		descriptionPath:                   s.public(descriptionPath, wellknown.NewStatic(docs.OpenAPI, "application/yaml", time.Hour)),
	}
	if logo := h.Pages.Brand.Logo; len(logo.Body) > 0 {
		s.byPath[pages.LogoPath] = s.picture(pages.LogoPath, logo)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if document, ok := s.byPath[r.URL.Path]; ok {
			document.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) picture(route string, l pages.Logo) http.Handler {
	document := wellknown.NewStatic(l.Body, l.Type, time.Hour)
	return s.public(route, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ProtectLogo(w.Header())
		document.ServeHTTP(w, r)
	}))
}

func (s *Server) firstPartyRoutes(r *mux.Router, all Handlers) {
	h := all.FirstParty
	if all.SignUp {
		s.route(r, firstParty, "/auth/signup", methods{"POST": h.SignUp})
	}
	if all.Mail {
		s.route(r, firstParty, "/auth/forgot", methods{"POST": h.Forgot})
		s.route(r, firstParty, "/auth/confirm", methods{"POST": h.Confirm})
		s.route(r, firstParty, "/auth/email", methods{"POST": h.ForCaller(h.ChangeEmail)})
	}
	s.route(r, firstParty, "/auth/reset", methods{"POST": h.ResetPassword})
	s.route(r, firstParty, "/auth/login", methods{"POST": h.LogIn})
	s.route(r, firstParty, "/auth/login/factor", methods{"POST": h.LogInByFactor})
	s.route(r, firstParty, "/auth/refresh", methods{"POST": h.Refresh})
	s.route(r, firstParty, "/auth/logout", methods{"POST": h.ForCaller(h.LogOut)})
	s.route(r, firstParty, "/auth/me", methods{"GET": h.ForCaller(h.Me), "POST": h.ForCaller(h.ChangeMe), "DELETE": h.ForCaller(h.DeleteMe)})
	s.route(r, firstParty, "/auth/me/data", methods{"GET": h.ForCaller(h.MyData)})
	s.route(r, firstParty, "/auth/password", methods{"POST": h.ForCaller(h.ChangePassword)})
	s.route(r, firstParty, "/auth/factors", methods{"GET": h.ForCaller(h.Factors), "POST": h.ForCaller(h.AddFactor)})
	s.route(r, firstParty, "/auth/factors/totp", methods{"GET": h.ForCaller(h.SetUpApp)})
	if h.OAuth.HasPasskeys() {
		s.route(r, firstParty, "/auth/login/passkey", methods{"GET": h.AskPasskey})
		s.route(r, firstParty, "/auth/factors/passkey", methods{"GET": h.ForCaller(h.SetUpPasskey)})
	}
	s.route(r, firstParty, "/auth/factors/{id}", methods{"DELETE": h.ForCaller(h.RemoveFactor)})
	s.route(r, firstParty, "/auth/recovery-codes", methods{"POST": h.ForCaller(h.RenewRecoveryCodes)})
	s.route(r, firstParty, "/auth/sessions", methods{"GET": h.ForCaller(h.Sessions), "DELETE": h.ForCaller(h.EndOtherSessions)})
	s.route(r, firstParty, "/auth/grants", methods{"GET": h.ForCaller(h.Grants)})
	s.route(r, firstParty, "/auth/grants/{id}", methods{"DELETE": h.ForCaller(h.WithdrawGrant)})
	s.route(r, firstParty, "/auth/sessions/{id}", methods{"DELETE": h.ForCaller(h.EndSession)})
}

// methods are the handlers of one path.
type methods map[string]http.HandlerFunc

// allow lists the methods of a path for the Allow header, in a fixed order.
func (m methods) allow() string {
	var list []string
	for _, name := range []string{"GET", "HEAD", "POST", "DELETE"} {
		if m.handler(name) != nil {
			list = append(list, name)
		}
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}

// handler returns the handler of a method; GET serves HEAD as well.
func (m methods) handler(name string) http.HandlerFunc {
	if name == "HEAD" {
		name = "GET"
	}
	return m[name]
}

// route mounts one path in a class.
func (s *Server) route(r *mux.Router, c class, path string, m methods) {
	allow := m.allow()
	r.Handle(path, s.class(c, path, func(w http.ResponseWriter, r *http.Request) {
		serve := m.handler(r.Method)
		switch {
		case serve != nil:
			if id, ok := mux.Vars(r)["id"]; ok {
				r.SetPathValue("id", id)
			}
			serve(w, r)
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		case c.page && readsPages(r):
			w.Header().Set("Allow", allow)
			s.pages.Absent(w, r, http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Allow", allow)
			problem.Write(w, problem.WrongMethod, "Use one of the methods "+allow+".")
		}
	}))
}
