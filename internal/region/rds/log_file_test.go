package rds_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// logsOf are the log files of instances on the host "h".
type logsOf map[string]string

func (l logsOf) Files(_ context.Context, host, _ string) (files []aurora.LogFile, err error) {
	if host != "h" {
		return nil, fs.ErrNotExist
	}
	for name, text := range l {
		files = append(files, aurora.LogFile{Name: name, Size: int64(len(text)), LastWritten: time.UnixMilli(5000)})
	}
	return files, nil
}

func (l logsOf) Read(_ context.Context, _, _, name string, offset int64, limit int) ([]byte, error) {
	text := l[name][min(int(offset), len(l[name])):]
	return []byte(text[:min(limit, len(text))]), nil
}

func TestLogsAreListedAndReadInPortions(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	store := statetest.Start(t)
	logs := logsOf{"postgresql.log.1": "one\ntwo\nthree\n", "postgresql.log.2": strings.Repeat("0123456789abcde\n", 200_000), "postgresql.log.3": ""}
	service, err := rds.Config{Store: store, Logs: logs}.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := region{Client: api.NewFromConfig(wiretest.Serve(t, service)), store: store}
	t.Cleanup(cancel)
	r.create(t, "demo", "w")
	if _, err := state.DBInstances(store).Update(t.Context(), *r.instance(t, "w").DbiResourceId, func(v *aurora.DBInstance) error {
		v.Status.Host = "h"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	id := aws.String("w")
	wait(t, "the log is there", func() bool {
		out, err := r.DescribeDBLogFiles(t.Context(), &api.DescribeDBLogFilesInput{DBInstanceIdentifier: id})
		return err == nil && len(out.DescribeDBLogFiles) == 3 && *out.DescribeDBLogFiles[0].LogFileName == "error/postgresql.log.1" && *out.DescribeDBLogFiles[0].LastWritten == 5000
	})
	for name, in := range map[string]api.DescribeDBLogFilesInput{
		"by size": {FileSize: aws.Int64(100)}, "by name": {FilenameContains: aws.String("log.2")},
	} {
		in.DBInstanceIdentifier = id
		if out, err := r.DescribeDBLogFiles(t.Context(), &in); err != nil || len(out.DescribeDBLogFiles) != 1 {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	portion := func(file, marker string, lines int32) *api.DownloadDBLogFilePortionOutput {
		t.Helper()
		in := &api.DownloadDBLogFilePortionInput{DBInstanceIdentifier: id, LogFileName: aws.String("error/postgresql.log." + file)}
		if marker != "" {
			in.Marker = &marker
		}
		if lines != 0 {
			in.NumberOfLines = &lines
		}
		out, err := r.DownloadDBLogFilePortion(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		name, file, marker string
		lines              int32
		want, next         string
		pending            bool
	}{
		{"from the beginning", "1", "0", 1, "one\n", "4", true},
		{"from a marker", "1", "4", 5, "two\nthree\n", "14", false},
		{"the last lines", "1", "", 2, "two\nthree\n", "14", false},
		{"nothing new", "1", "14", 0, "", "14", false},
		{"an empty file", "3", "0", 0, "", "0", false},
	} {
		if out := portion(c.file, c.marker, c.lines); *out.LogFileData != c.want || *out.Marker != c.next || *out.AdditionalDataPending != c.pending {
			t.Errorf("%s: %q, %s, %v", c.name, *out.LogFileData, *out.Marker, *out.AdditionalDataPending)
		}
	}
	var whole strings.Builder
	for marker, pending := "0", true; pending; {
		out := portion("2", marker, 0)
		whole.WriteString(*out.LogFileData)
		marker, pending = *out.Marker, *out.AdditionalDataPending
	}
	if whole.String() != logs["postgresql.log.2"] {
		t.Errorf("%d bytes of a large file", whole.Len())
	}
	_, err = r.DownloadDBLogFilePortion(t.Context(), &api.DownloadDBLogFilePortionInput{DBInstanceIdentifier: id, LogFileName: aws.String("error/../secret")})
	wantCode(t, "a file that is none", err, "DBLogFileNotFoundFault")
	_, err = r.DownloadDBLogFilePortion(t.Context(), &api.DownloadDBLogFilePortionInput{DBInstanceIdentifier: id, LogFileName: aws.String("error/postgresql.log.1"), Marker: aws.String("x")})
	wantCode(t, "a bad marker", err, "InvalidParameterValue")
	_, err = r.DescribeDBLogFiles(t.Context(), &api.DescribeDBLogFilesInput{DBInstanceIdentifier: aws.String("none")})
	wantCode(t, "no such instance", err, "DBInstanceNotFound")
}
