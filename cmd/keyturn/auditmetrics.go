package main

import (
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/server"
)

// auditMetrics adds the metrics about events that could not be written to the
// audit log.
func auditMetrics(m *server.Metrics, l *auditlog.Log) {
	m.Counter("keyturn_audit_failures_total", "Events that could not be recorded; their decisions did not stand.", nil,
		func() float64 { return float64(l.Failures()) })
	m.Gauge("keyturn_audit_away", "1 while the audit log cannot be written to, otherwise 0.", nil, func() float64 {
		if why, _ := l.Away(); why != nil {
			return 1
		}
		return 0
	})
	m.Gauge("keyturn_audit_held", "Events kept in memory until the audit log can be written to (audit_buffer).", nil,
		func() float64 { return float64(l.Backlog().Held) })
	m.Counter("keyturn_audit_lost_total", "Events lost while the audit log could not be written to (audit_loss).", nil,
		func() float64 { return float64(l.Backlog().Lost) })
}
