package rds

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// LogReader reads the logs of servers. What is not there is fs.ErrNotExist.
type LogReader interface {
	Files(ctx context.Context, host, instance string) ([]aurora.LogFile, error)
	Read(ctx context.Context, host, instance, name string, offset int64, limit int) ([]byte, error)
}

const (
	// logDir is before the names of log files, as on AWS.
	logDir = "error/"
	// maxPortion is the most that one answer has of a log, in bytes; maxLines is how
	// many lines it has unless more are asked for.
	maxPortion = 1 << 20
	maxLines   = 10000
)

// logs finds an instance and its log files.
func (s *service) logs(ctx context.Context, given string) (aurora.DBInstance, []aurora.LogFile, error) {
	item, err := s.instance(scopeOf(ctx), given)
	if err != nil {
		return aurora.DBInstance{}, nil, err
	}
	v := item.Value
	if s.config.Logs == nil || v.Status.Host == "" {
		return v, nil, nil
	}
	files, err := s.config.Logs.Files(ctx, v.Status.Host, v.ResourceID)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil, nil
	}
	if err != nil {
		return v, nil, awswire.Errorf(503, "ServiceUnavailable", "The log of DB instance %s cannot be read at the moment: %v", v.Spec.Identifier, err)
	}
	return v, files, nil
}

// DescribeDBLogFiles answers the files of a server's log.
func (s *service) DescribeDBLogFiles(ctx context.Context, in *rds.DescribeDBLogFilesInput) (*rds.DescribeDBLogFilesOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	_, files, err := s.logs(ctx, aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f aurora.LogFile) bool {
		return !strings.Contains(logDir+f.Name, aws.ToString(in.FilenameContains)) || f.Size < aws.ToInt64(in.FileSize) ||
			f.LastWritten.UnixMilli() < aws.ToInt64(in.FileLastWritten)
	})
	page, marker, err := awswire.Page(files, in.Marker, in.MaxRecords, awswire.RDSPages(), func(f aurora.LogFile) string { return f.Name })
	out := &rds.DescribeDBLogFilesOutput{Marker: marker}
	for _, f := range page {
		out.DescribeDBLogFiles = append(out.DescribeDBLogFiles, types.DescribeDBLogFilesDetails{
			LogFileName: aws.String(logDir + f.Name), Size: aws.Int64(f.Size), LastWritten: aws.Int64(f.LastWritten.UnixMilli()),
		})
	}
	return out, err
}

// DownloadDBLogFilePortion answers lines of a log file: from a marker on, which is an
// offset, or else the last ones.
func (s *service) DownloadDBLogFilePortion(ctx context.Context, in *rds.DownloadDBLogFilePortionInput) (*rds.DownloadDBLogFilePortionOutput, error) {
	lines := maxLines
	if in.NumberOfLines != nil {
		if lines = int(*in.NumberOfLines); lines < 1 {
			return nil, awswire.InvalidParameterValue("Invalid number of lines: %d.", lines)
		}
	}
	v, files, err := s.logs(ctx, aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.LogFileName)
	i := slices.IndexFunc(files, func(f aurora.LogFile) bool { return logDir+f.Name == name })
	if i < 0 {
		return nil, awswire.Errorf(404, "DBLogFileNotFoundFault", "DBLog File: %s, is not found on the DB instance", name)
	}
	offset, fromEnd, err := logOffset(in.Marker, files[i].Size)
	if err != nil {
		return nil, err
	}
	data, err := s.config.Logs.Read(ctx, v.Status.Host, v.ResourceID, files[i].Name, offset, maxPortion)
	if err != nil {
		return nil, awswire.Errorf(503, "ServiceUnavailable", "The log of DB instance %s cannot be read at the moment: %v", v.Spec.Identifier, err)
	}
	portion, end := firstLines(data, lines), offset
	if fromEnd {
		portion = lastLines(data, lines)
		end = offset + int64(len(data))
	} else {
		end += int64(len(portion))
	}
	return &rds.DownloadDBLogFilePortionOutput{
		LogFileData: aws.String(string(portion)), Marker: aws.String(strconv.FormatInt(end, 10)), AdditionalDataPending: aws.Bool(end < files[i].Size),
	}, nil
}

// logOffset is where reading begins: at the marker, or so far from the end as one
// answer goes.
func logOffset(marker *string, size int64) (offset int64, fromEnd bool, err error) {
	if marker == nil || *marker == "" {
		return max(0, size-maxPortion), true, nil
	}
	offset, err = strconv.ParseInt(*marker, 10, 64)
	if err != nil || offset < 0 {
		return 0, false, awswire.InvalidParameterValue("Invalid marker: %.50s. Use 0 for the beginning, or the marker of the last answer.", *marker)
	}
	return offset, false, nil
}

// firstLines are up to n whole lines; what is no whole line only when there is none.
func firstLines(data []byte, n int) []byte {
	end := 0
	for range n {
		next := bytes.IndexByte(data[end:], '\n')
		if next < 0 {
			break
		}
		end += next + 1
	}
	if end == 0 {
		return data
	}
	return data[:end]
}

// lastLines are the last n lines.
func lastLines(data []byte, n int) []byte {
	start := len(data)
	for range n {
		start = bytes.LastIndexByte(data[:max(0, start-1)], '\n') + 1
		if start == 0 {
			break
		}
	}
	return data[start:]
}
