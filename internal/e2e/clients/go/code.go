package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

// loggedIn is what a log-in at the page yielded.
type loggedIn struct {
	ID       claims `json:"id"`
	Again    claims `json:"again"`
	UserInfo claims `json:"userinfo"`
	// Alg is what the ID token was signed with.
	Alg string `json:"alg"`
	// Silent says that a second log-in asked for no password.
	Silent bool `json:"silent"`
}

// logIn is an application at the loopback interface, whose user has a browser.
func logIn(ctx context.Context, ask request, provider *oidc.Provider) (loggedIn, error) {
	var out loggedIn
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return out, err
	}
	defer listener.Close()
	answers := make(chan url.Values, 1)
	go http.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { answers <- r.URL.Query() }))
	config := oauth2.Config{
		ClientID: ask.ClientID, ClientSecret: ask.ClientSecret, Endpoint: provider.Endpoint(),
		RedirectURL: "http://" + listener.Addr().String() + "/callback", Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return out, err
	}
	browser := &http.Client{Jar: jar}
	token, err := obtainByCode(ctx, config, browser, ask, answers, "n-1")
	if err != nil {
		return out, err
	}
	raw, _ := token.Extra("id_token").(string)
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: ask.ClientID})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return out, fmt.Errorf("ID token: %w", err)
	}
	if id.Nonce != "n-1" {
		return out, fmt.Errorf("nonce %q", id.Nonce)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return out, fmt.Errorf("at_hash: %w", err)
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
	if err != nil {
		return out, err
	}
	out.Alg = parsed.Method.Alg()
	if err := id.Claims(&out.ID); err != nil {
		return out, err
	}
	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, token))
	if err == nil {
		err = info.Claims(&out.UserInfo)
	}
	if err != nil {
		return out, fmt.Errorf("userinfo: %w", err)
	}
	next, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil {
		return out, fmt.Errorf("refresh: %w", err)
	}
	raw, _ = next.Extra("id_token").(string)
	again, err := verifier.Verify(ctx, raw)
	if err == nil {
		err = again.Claims(&out.Again)
	}
	if err != nil {
		return out, fmt.Errorf("ID token of the refresh: %w", err)
	}
	ask.Password = "not needed"
	if _, err := obtainByCode(ctx, config, browser, ask, answers, "n-2"); err != nil {
		return out, fmt.Errorf("second log-in: %w", err)
	}
	out.Silent = true
	return out, nil
}

// obtainByCode has the browser log in, and exchanges the code that comes of it.
func obtainByCode(ctx context.Context, config oauth2.Config, browser *http.Client, ask request, answers chan url.Values, nonce string) (*oauth2.Token, error) {
	verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	page, err := browser.Get(config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)))
	if err != nil {
		return nil, err
	}
	if page.Request.URL.Path != "/callback" {
		if page, err = fillIn(browser, page, ask); err != nil {
			return nil, err
		}
	}
	select {
	case answer := <-answers:
		if answer.Get("state") != state || answer.Get("iss") != ask.Issuer {
			return nil, fmt.Errorf("answer %v", answer)
		}
		return config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	default:
		return nil, fmt.Errorf("no answer came; the browser shows %s", page.Status)
	}
}

var (
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// fillIn sends the form of a page, as somebody does who reads it.
func fillIn(browser *http.Client, page *http.Response, ask request) (*http.Response, error) {
	text, err := io.ReadAll(page.Body)
	if err != nil {
		return nil, err
	}
	to := action.FindStringSubmatch(string(text))
	if to == nil {
		return nil, errors.New("the page has no form")
	}
	address, err := page.Request.URL.Parse(html.UnescapeString(to[1]))
	if err != nil {
		return nil, err
	}
	form := url.Values{"username": {ask.Username}, "password": {ask.Password}}
	for _, field := range hidden.FindAllStringSubmatch(string(text), -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return browser.PostForm(address.String(), form)
}
