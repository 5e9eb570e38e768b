package node

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	failures, ended prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybreak_node_task_failures_total", Help: "Tasks that could not be done at the first try.",
		}),
		ended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybreak_node_servers_ended_total", Help: "PostgreSQL servers that ended by themselves.",
		}),
	}
	if r != nil {
		r.MustRegister(m.failures, m.ended)
	}
	return m
}
