package endpoint

import "github.com/prometheus/client_golang/prometheus"

// Reasons for which connections are refused, as metrics have them.
const (
	refusedBySecurityGroup = "security_group"
	refusedByLimit         = "limit"
	refusedByToken         = "token" // of IAM
	refusedByGuard         = "failed_logins"
	refusedByProtocol      = "protocol" // what was asked for is malformed or not allowed
	refusedForWantOfServer = "no_backend"
)

type metrics struct {
	connections *prometheus.CounterVec
	refused     *prometheus.CounterVec
	cancels     *prometheus.CounterVec
	ended       *prometheus.CounterVec
	carried     *prometheus.CounterVec
	unknown     prometheus.Counter
	holds       prometheus.Counter
	held        prometheus.Gauge
	sessions    prometheus.GaugeFunc
	fromClients prometheus.Counter
	toClients   prometheus.Counter
}

func newMetrics(r prometheus.Registerer, sessions func() float64) *metrics {
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "daybreak_endpoint_bytes_total", Help: "Bytes relayed, by direction.",
	}, []string{"direction"})
	m := &metrics{
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_endpoint_connections_total", Help: "Connections that reached a server, by kind of endpoint.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_endpoint_refused_total", Help: "Connections refused by an endpoint, by reason.",
		}, []string{"reason"}),
		cancels: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_endpoint_cancels_total", Help: "Cancel requests, by result.",
		}, []string{"result"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_endpoint_sessions_ended_total", Help: "Sessions that an endpoint ended, by SQLSTATE.",
		}, []string{"code"}),
		carried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_endpoint_sessions_carried_total", Help: "Sessions that were to go on at another server, by result.",
		}, []string{"result"}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybreak_endpoint_unknown_outcomes_total", Help: "Commits whose wait for the quorum of the log was ended.",
		}),
		holds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybreak_endpoint_holds_total", Help: "Connections that had to wait for a server.",
		}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "daybreak_endpoint_held", Help: "Connections that wait for a server now.",
		}),
		sessions: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "daybreak_endpoint_sessions", Help: "Sessions that exist now.",
		}, sessions),
		fromClients: bytes.WithLabelValues("from_client"),
		toClients:   bytes.WithLabelValues("to_client"),
	}
	if r != nil {
		r.MustRegister(m.connections, m.refused, m.cancels, m.ended, m.carried, m.unknown, m.holds, m.held, m.sessions, bytes)
	}
	return m
}
