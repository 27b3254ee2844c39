package users

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"

	"github.com/keyturn/keyturn/internal/base64url"
)

const (
	// resetPrefix lets secret scanners recognise a leaked one-time token.
	resetPrefix      = "kt_pr_"
	resetSecretBytes = 32
	maxResetToken    = 256
	// LongestReset is the longest life of a one-time token.
	LongestReset = 7 * 24 * time.Hour
)

// CheckResetLife returns what keeps a one-time token from having such a life.
func CheckResetLife(life time.Duration) error {
	if life <= 0 || life > LongestReset {
		return fmt.Errorf("a one-time token of %s: more than 0 and up to %d days are accepted", life, LongestReset/(24*time.Hour))
	}
	return nil
}

// IssueReset creates a one-time token whose holder can set a new password for the
// account uid, within life. It replaces an earlier one that IssueReset made; nothing that
// anybody else asks for does. The password and the account's sessions stay valid until the
// token is used; with force they end at once, and until there is another password nothing
// opens the account but this token, a later one, or a letter of SendLetter. Of a disabled
// account it counts once that is enabled.
//
// The store keeps only the SHA-256 of the token's secret. The error is ErrNotFound, Busy,
// ErrConflict, decision.ErrNotRecorded, ErrUnfinished and ErrToFollow as for
// ChangePassword, or from the store.
func (s *Service) IssueReset(ctx context.Context, uid string, life time.Duration, force bool) (token string, expires time.Time, err error) {
	if err := CheckResetLife(life); err != nil {
		return "", time.Time{}, err
	}
	secret := newResetSecret()
	expires = s.now().Add(life)
	action, also := audit.ResetIssued, func(*User, *audit.Event) error { return nil }
	if force {
		if action, also, err = s.forcing(ctx, uid); err != nil {
			return "", time.Time{}, err
		}
	}
	hash := sha256.Sum256(secret)
	_, _, err = s.change(ctx, audit.Event{Action: action}, uid, false, func(u *User, e *audit.Event) error {
		if err := also(u, e); err != nil {
			return err
		}
		u.ResetHash, u.ResetIssuedAt, u.ResetExpiresAt = hash[:], s.now(), expires
		e.Detail = validUntil(expires)
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return resetToken(secret, uid), expires, nil
}

// forcing returns what makes a password void: a hash that no password has costs what any
// other does (U1).
func (s *Service) forcing(ctx context.Context, uid string) (audit.Action, func(*User, *audit.Event) error, error) {
	void, err := s.hashAnew(ctx, rand.Text())
	if err != nil {
		return "", nil, s.conclude(ctx, audit.Event{Action: audit.ResetForced, UserID: uid}, err)
	}
	return audit.ResetForced, func(u *User, e *audit.Event) (err error) {
		u.PasswordHash = void
		u.Epoch++
		u.Mailed.Barred = true
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	}, nil
}

func newResetSecret() []byte {
	secret := make([]byte, resetSecretBytes)
	rand.Read(secret) // never fails
	return secret
}

func resetToken(secret []byte, uid string) string {
	return resetPrefix + base64url.Encode(append(slices.Clone(secret), uid...))
}

func validUntil(expires time.Time) string { return "valid until " + expires.Format(time.RFC3339) }

// voidReset takes from u the token that an operator made.
func (u *User) voidReset() {
	u.ResetHash, u.ResetIssuedAt, u.ResetExpiresAt = nil, time.Time{}, time.Time{}
}

// RedeemReset replaces the password of the account of a one-time token and ends all
// its sessions. Only success spends the token: after a password that the policy
// refuses it stays valid. The error is errResetToken, a refusal (Unacceptable, Busy),
// ErrConflict, decision.ErrNotRecorded, ErrUnfinished and ErrToFollow as for
// ChangePassword, or from the store.
func (s *Service) RedeemReset(ctx context.Context, token, next string) error {
	u, err := s.ownerOf(ctx, token)
	return s.replacePassword(ctx, passwordChange{uid: u.UID, user: u, next: next, action: audit.ResetRedeemed, token: token}, err)
}

// ownerOf returns the account of a one-time token. With an errResetToken it returns
// the account that the token names, if there is one.
func (s *Service) ownerOf(ctx context.Context, token string) (User, error) {
	_, uid, ok := parseReset(token)
	if !ok {
		return User{}, errResetToken
	}
	u, err := s.Store.UserByID(ctx, uid)
	if errors.Is(err, ErrNotFound) {
		return User{}, errResetToken
	}
	if err != nil {
		return User{}, fmt.Errorf("find the account: %w", err)
	}
	if !s.opens(token, u) {
		return u, errResetToken
	}
	return u, nil
}

// opens reports whether a one-time token is good for a new password of its account u.
func (s *Service) opens(token string, u User) bool {
	secret, _, _ := parseReset(token)
	hash := sha256.Sum256(secret)
	ofOperator := subtle.ConstantTimeCompare(hash[:], u.ResetHash) == 1
	ofLetter := subtle.ConstantTimeCompare(hash[:], u.Mailed.Hash) == 1
	left := u.ResetExpiresAt.Sub(s.latest())
	// A token that has longer than any was issued by a clock that was ahead, too (T1).
	live := left > 0 && left <= LongestReset+aheadBy && !s.ahead(u.ResetIssuedAt)
	return !u.Disabled && (ofOperator && live || ofLetter && s.mailedLive(u))
}

// IsResetToken reports whether a text has the form of a one-time token.
func IsResetToken(text string) bool {
	_, _, ok := parseReset(text)
	return ok
}

func parseReset(token string) (secret []byte, uid string, ok bool) {
	encoded, ok := strings.CutPrefix(token, resetPrefix)
	if !ok || len(token) > maxResetToken {
		return nil, "", false
	}
	b, err := base64url.Decode(encoded)
	if err != nil || len(b) <= resetSecretBytes || !isUID(string(b[resetSecretBytes:])) {
		return nil, "", false
	}
	return b[:resetSecretBytes], string(b[resetSecretBytes:]), true
}
