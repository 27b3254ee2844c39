package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/clientip"
	"github.com/keyturn/keyturn/internal/config"
)

// healthPatience bounds the wait for an answer.
const healthPatience = 5 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server on this machine whether it is ready; exit 0 if it is",
		Long: `Asks /readyz of the server that the same settings would start, over loopback.
Made for a container's health check, where no other program is at hand.`,
		Args: cobra.NoArgs,
	}
	p.withSettings(cmd, func(ctx context.Context, cfg *config.Config, _ []string) error {
		status, err := ready(ctx, cfg)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("not ready: /readyz answered %d", status)
		}
		return p.say(answer{"ready": true}, "ready\n")
	})
	return cmd
}

// clientFinder returns the Finder of client addresses for the settings.
func clientFinder(cfg *config.Config) clientip.Finder {
	return clientip.Finder{Trusted: cfg.TrustedProxies, Source: clientip.Source(cfg.ClientAddress)}
}

func ready(ctx context.Context, cfg *config.Config) (int, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return 0, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	clients := clientFinder(cfg)
	transport := &http.Transport{DialContext: clients.Dial}
	if cfg.TLSCertFile != "" {
		scheme = "https"
		// The certificate is for the issuer's name, not for loopback. The
		// answer is only a status, so nothing depends on trusting this
		// connection.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	return res.StatusCode, res.Body.Close()
}
