package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

const (
	describeClusters = 100
	describeCalls    = 500
	describeWorkers  = 4
)

// benchDescribe measures DescribeDBClusters at 100 clusters, and moto's beside
// it where moto is installed.
func benchDescribe(s *server) error {
	env, err := s.awsEnv()
	if err != nil {
		return err
	}
	client, err := s.rds()
	if err != nil {
		return err
	}
	title(fmt.Sprintf("DescribeDBClusters at %d clusters, one client, then %d", describeClusters, describeWorkers))
	heading("server", "p50", "p99", "requests/s")
	if err := describe("daybreak, aws-sdk-go-v2", client); err != nil {
		return err
	}
	if err := measure("daybreak, to the last byte", s.rawDescribe(env)); err != nil {
		return err
	}
	return describeMoto()
}

// awsEnv is what AWS clients need in their environment.
func (s *server) awsEnv() (env map[string]string, err error) {
	out, err := s.daybreak("env", "--output", "json")
	if err != nil {
		return nil, err
	}
	return env, json.Unmarshal([]byte(out), &env)
}

func (s *server) rds() (*rds.Client, error) {
	env, err := s.awsEnv()
	if err != nil {
		return nil, err
	}
	return rds.New(rds.Options{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(s.regionURL),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}), nil
}

func describeMoto() error {
	addr, stop, err := startMoto()
	if err != nil {
		return err
	}
	if addr == "" {
		row("moto (not installed)", "", "", "")
		return nil
	}
	defer stop()
	return describe("moto, aws-sdk-go-v2", rds.New(rds.Options{
		Region: "us-west-2", BaseEndpoint: aws.String("http://" + addr),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}))
}

// startMoto starts moto's server; without an address if there is none.
func startMoto() (addr string, stop func(), err error) {
	if exec.Command("python3", "-c", "import moto.server").Run() != nil {
		return "", nil, nil
	}
	if addr, err = freeAddr(); err != nil {
		return "", nil, err
	}
	moto := exec.Command("python3", "-m", "moto.server", "-p", strings.Split(addr, ":")[1])
	if err := moto.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = moto.Process.Kill(); _ = moto.Wait() }
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return addr, stop, conn.Close()
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, err
		}
	}
}

func describe(name string, client *rds.Client) error {
	ctx := context.Background()
	for i := range describeClusters {
		_, err := client.CreateDBCluster(ctx, &rds.CreateDBClusterInput{
			DBClusterIdentifier: aws.String(fmt.Sprintf("bench-%03d", i)), Engine: aws.String("aurora-postgresql"),
			MasterUsername: aws.String("postgres"), MasterUserPassword: aws.String(password),
		})
		if err != nil {
			return err
		}
	}
	call := func() (time.Duration, error) {
		start := time.Now()
		out, err := client.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{})
		if err == nil && len(out.DBClusters) != describeClusters {
			err = fmt.Errorf("%s: %d clusters, want %d", name, len(out.DBClusters), describeClusters)
		}
		return time.Since(start), err
	}
	return measure(name, call)
}

// rawDescribe signs the request itself and reads the answer without parsing it.
func (s *server) rawDescribe(env map[string]string) func() (time.Duration, error) {
	const body = "Action=DescribeDBClusters&Version=2014-10-31"
	sum := sha256.Sum256([]byte(body))
	keys := aws.Credentials{AccessKeyID: env["AWS_ACCESS_KEY_ID"], SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"]}
	signer := v4.NewSigner()
	return func() (time.Duration, error) {
		req, err := http.NewRequest(http.MethodPost, s.regionURL+"/", strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := signer.SignHTTP(context.Background(), keys, req, hex.EncodeToString(sum[:]), "rds", env["AWS_REGION"], time.Now()); err != nil {
			return 0, err
		}
		start := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || n < describeClusters*100) {
			err = fmt.Errorf("%s, %d bytes", resp.Status, n)
		}
		return time.Since(start), err
	}
}

func measure(name string, call func() (time.Duration, error)) error {
	var took []time.Duration
	for range describeCalls {
		d, err := call()
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	rate, err := parallel(call)
	if err != nil {
		return err
	}
	row(name, millis(percentile(took, 0.5)), millis(percentile(took, 0.99)), fmt.Sprintf("%.0f", rate))
	return nil
}

// parallel returns calls per second of several clients.
func parallel(call func() (time.Duration, error)) (float64, error) {
	var wg sync.WaitGroup
	errs := make(chan error, describeWorkers)
	start := time.Now()
	for range describeWorkers {
		wg.Go(func() {
			for range describeCalls / describeWorkers {
				if _, err := call(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	return describeCalls / time.Since(start).Seconds(), nil
}
