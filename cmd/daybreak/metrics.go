package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// newRegistry is a process's registry; its own series carry the process's name.
func newRegistry(process string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	prometheus.WrapRegistererWith(prometheus.Labels{"process": process}, r).MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func metricsSocket(l layout.Layout, process string) string {
	return filepath.Join(l.RunDir(), process+".metrics")
}

// exposeMetrics answers the control process, which serves the metrics of all.
func exposeMetrics(ctx context.Context, in installation, process string, registry *prometheus.Registry) {
	socket := metricsSocket(in.Layout, process)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		in.logger.Warn("metrics are not exposed", "error", err)
		return
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		in.logger.Warn("metrics are not exposed", "error", err)
		return
	}
	if err := serveListener(ctx, listener, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})); err != nil {
		in.logger.Warn("metrics are no longer exposed", "error", err)
	}
}

// allMetrics gathers the metrics of this process and of the others that run.
func allMetrics(in installation, own *prometheus.Registry) prometheus.Gatherer {
	gatherers := prometheus.Gatherers{own}
	for _, process := range []string{launch.Node, launch.Endpoint} {
		gatherers = append(gatherers, remoteMetrics(metricsSocket(in.Layout, process)))
	}
	return gatherers
}

const scrapeTimeout = 2 * time.Second

// remoteMetrics gathers from the socket of another process. One that does not
// run has none.
func remoteMetrics(socket string) prometheus.Gatherer {
	client := http.Client{Timeout: scrapeTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		resp, err := client.Get("http://metrics/")
		if err != nil {
			return nil, nil
		}
		defer resp.Body.Close()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("metrics of %s: %w", socket, err)
		}
		var list []*dto.MetricFamily
		for _, f := range families {
			list = append(list, f)
		}
		return list, nil
	})
}
