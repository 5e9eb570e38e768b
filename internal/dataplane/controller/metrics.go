package controller

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	actions   *prometheus.CounterVec
	conflicts prometheus.Counter
	clusters  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_controller_actions_total", Help: "Actions decided and stored, by kind.",
		}, []string{"action"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybreak_controller_conflicts_total", Help: "Decisions made again because somebody else wrote meanwhile.",
		}),
		clusters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "daybreak_controller_clusters", Help: "DB clusters that the controller looks after.",
		}),
	}
	if r != nil {
		r.MustRegister(m.actions, m.conflicts, m.clusters)
	}
	return m
}
