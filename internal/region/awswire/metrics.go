package awswire

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count answers. An action that the region lacks is counted under the
// code InvalidAction.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_aws_requests_total",
			Help: "Requests to the AWS API by service, action and error code (OK for none).",
		}, []string{"service", "action", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "daybreak_aws_request_seconds",
			Help:    "Time to answer a request to the AWS API.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"service", "action"}),
	}
	if registry == nil {
		return m, nil
	}
	if err := errors.Join(registry.Register(m.requests), registry.Register(m.seconds)); err != nil {
		return nil, fmt.Errorf("metrics of the AWS API: %w", err)
	}
	return m, nil
}

func (m *metrics) observe(service, action, code string, took time.Duration) {
	m.requests.WithLabelValues(service, action, code).Inc()
	m.seconds.WithLabelValues(service, action).Observe(took.Seconds())
}
