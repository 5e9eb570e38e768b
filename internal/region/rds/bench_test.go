package rds_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// BenchmarkDescribeHundredClusters asks for all clusters, each of two instances.
func BenchmarkDescribeHundredClusters(b *testing.B) {
	r := start(b)
	for i := range 100 {
		meta := aurora.Meta{ResourceID: fmt.Sprint("cluster-", i), Account: wiretest.Account, Region: wiretest.Region, Generation: 1}
		cluster := aurora.DBCluster{Meta: meta, Spec: aurora.DBClusterSpec{Identifier: fmt.Sprint("demo-", i), EngineVersion: "15.10"}}
		if _, err := state.DBClusters(r.store).Create(b.Context(), meta.ResourceID, cluster); err != nil {
			b.Fatal(err)
		}
		for n := range 2 {
			instance := aurora.DBInstance{Meta: meta, Spec: aurora.DBInstanceSpec{ClusterResourceID: meta.ResourceID, Identifier: fmt.Sprintf("demo-%d-%d", i, n)}}
			if _, err := state.DBInstances(r.store).Create(b.Context(), fmt.Sprintf("db-%d-%d", i, n), instance); err != nil {
				b.Fatal(err)
			}
		}
	}
	wait(b, "100 clusters", func() bool {
		out, err := r.DescribeDBClusters(b.Context(), nil)
		return err == nil && len(out.DBClusters) == 100
	})
	request := &recorder{next: http.DefaultClient}
	cfg := r.cfg.Copy()
	cfg.HTTPClient = request
	if _, err := api.NewFromConfig(cfg).DescribeDBClusters(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		request.again(b)
	}
}

// recorder keeps a signed request, so that the server is measured and not the
// client.
type recorder struct {
	next   *http.Client
	header http.Header
	url    string
	body   []byte
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.header, r.url, r.body = request.Header.Clone(), request.URL.String(), body
	request.Body = io.NopCloser(bytes.NewReader(body))
	return r.next.Do(request)
}

func (r *recorder) again(b *testing.B) {
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header = r.header
	request.Header.Set("User-Agent", "bench") // so that awswire does not wait for the sender
	answer, err := r.next.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Fatalf("%+v, %v", answer, err)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		b.Fatal(err)
	}
}
