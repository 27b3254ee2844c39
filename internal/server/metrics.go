package server

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the process's Prometheus metrics.
type Metrics struct {
	registry *prometheus.Registry
	duration *prometheus.HistogramVec
}

// NewMetrics returns a registry with the metrics of the process, of the Go runtime
// and of HTTP requests.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "keyturn_http_request_duration_seconds",
			Help:    "Time to answer a request, by route and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.duration, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a gauge whose value is read at each scrape. labels may be nil.
func (m *Metrics) Gauge(name, help string, labels map[string]string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// Counter is like Gauge, for values that only grow.
func (m *Metrics) Counter(name, help string, labels map[string]string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

var began = time.Now()

// uptime returns how long the process has been running. It reads one clock and so
// takes half as long as time.Now, which reads two.
func uptime() time.Duration { return time.Since(began) }

// maxStatus bounds the table of observers; HTTP statuses have three digits.
const maxStatus = 600

// route returns a function that observes requests of one route. It looks the
// observer of each status up once.
func (m *Metrics) route(route string) func(status int, took time.Duration) {
	var byStatus [maxStatus]atomic.Pointer[prometheus.Observer]
	return func(status int, took time.Duration) {
		if status < 100 || status >= maxStatus {
			return
		}
		o := byStatus[status].Load()
		if o == nil {
			made := m.duration.WithLabelValues(route, strconv.Itoa(status))
			o = &made
			byStatus[status].Store(o)
		}
		(*o).Observe(took.Seconds())
	}
}
