package main

import (
	"context"

	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/server"
)

// outboxTrouble logs that the outbox could not be read or written. It is logged only at
// debug level, because /readyz and the log report a store that does not answer anyway.
func (d *deployment) outboxTrouble(err error) {
	d.log.Debug().Err(err).Msg("what is to be sent waits in the outbox")
}

// outboxDown logs that a destination takes nothing, long before what is for it is given up.
func (d *deployment) outboxDown(to string, cause error) {
	d.log.Warn().Str("destination", to).Err(cause).Msg("nothing has been taken for minutes; what is to be sent waits, and is tried again for a day")
}

// queueEndings puts the sessions that ended into the outbox, whose clients are to be
// told.
func (d *deployment) queueEndings(ctx context.Context, s *services) {
	if _, err := s.endings.Queue(ctx); err != nil && ctx.Err() == nil {
		d.outboxTrouble(err)
	}
}

func outboxMetrics(m *server.Metrics, box *outbox.Box) {
	m.Gauge("keyturn_outbox_destinations_down", "Destinations that took nothing when this replica last had a letter or a logout token for them.", nil,
		func() float64 { return float64(box.Down()) })
}
