package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Reader reads the logs of servers. What is not there is fs.ErrNotExist.
type Reader interface {
	Files(ctx context.Context, host, instance string) ([]aurora.LogFile, error)
	Read(ctx context.Context, host, instance, name string, offset int64, limit int) ([]byte, error)
}

const (
	// portion is how much of a log is read at once, portions how often at most
	// before the next server's turn.
	portion  = 512 << 10
	portions = 16
	// exportType is the only log that Aurora PostgreSQL exports.
	exportType = "postgresql"
)

// Exporter copies the logs of the servers of clusters that ask for it to the
// group /aws/rds/cluster/<cluster>/postgresql, with a stream for each instance.
type Exporter struct {
	api       *API
	reader    Reader
	logger    *slog.Logger
	clusters  *state.Mirror[aurora.DBCluster]
	instances *state.Mirror[aurora.DBInstance]
}

// NewExporter returns the exporter of servers' logs.
func (a *API) NewExporter(ctx context.Context, reader Reader, logger *slog.Logger) (*Exporter, error) {
	clusters, err := state.NewMirror(ctx, state.DBClusters(a.store))
	if err != nil {
		return nil, fmt.Errorf("export of logs: %w", err)
	}
	instances, err := state.NewMirror(ctx, state.DBInstances(a.store))
	if err != nil {
		return nil, fmt.Errorf("export of logs: %w", err)
	}
	return &Exporter{api: a, reader: reader, logger: logger, clusters: clusters, instances: instances}, nil
}

// Run exports and tidies until ctx ends.
func (x *Exporter) Run(ctx context.Context, every, tidyEvery time.Duration) {
	export, tidy := time.NewTicker(every), time.NewTicker(tidyEvery)
	defer export.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-export.C:
			x.Export(ctx)
		case <-tidy.C:
			if err := x.api.Tidy(ctx); err != nil && ctx.Err() == nil {
				x.logger.Warn("old log events could not be removed", "error", err)
			}
		}
	}
}

// Export copies what servers wrote since the last time. A server whose log cannot
// be read now is read the next time.
func (x *Exporter) Export(ctx context.Context) {
	for _, item := range x.instances.All() {
		db := item.Value
		cluster, ok := x.clusters.Get(db.Spec.ClusterResourceID)
		if !ok || db.Status.Host == "" || !slices.Contains(cluster.Value.Spec.CloudwatchLogExports, exportType) {
			continue
		}
		if err := x.exportServer(ctx, cluster.Value.Spec.Identifier, db); err != nil && ctx.Err() == nil {
			x.logger.Warn("the log of a server is not exported at the moment", "instance", db.Spec.Identifier, "error", err)
		}
	}
}

// position is how far a server's log was exported, in a file beside the events.
// After a crash between the two, events are exported once more and none is lost.
type position struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

func (x *Exporter) exportServer(ctx context.Context, cluster string, db aurora.DBInstance) error {
	files, err := x.reader.Files(ctx, db.Status.Host, db.ResourceID)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b aurora.LogFile) int { return strings.Compare(a.Name, b.Name) })
	directory, err := x.target(ctx, cluster, db)
	if err != nil {
		return err
	}
	at, err := x.api.events.position(directory)
	if err != nil {
		return err
	}
	if at.File == "" { // it begins with the file that is written now
		at.File = files[len(files)-1].Name
	}
	left := portions
	for _, f := range files {
		if f.Name < at.File {
			continue
		}
		if f.Name > at.File {
			at = position{File: f.Name}
		}
		for at.Offset < f.Size && left > 0 {
			left--
			data, err := x.reader.Read(ctx, db.Status.Host, db.ResourceID, f.Name, at.Offset, portion)
			if err != nil {
				return err
			}
			end := strings.LastIndexByte(string(data), '\n') + 1
			if end == 0 && len(data) < portion {
				break // a line that is not finished
			}
			if end == 0 {
				end = len(data)
			}
			if err := x.api.events.append(directory, entries(string(data[:end]), x.api.now())); err != nil {
				return err
			}
			at.Offset += int64(end)
			if err := x.api.events.setPosition(directory, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// target is the directory of a server's events. Group and stream are made when
// they are not there: as on AWS nothing else than the export needs to make them.
func (x *Exporter) target(ctx context.Context, cluster string, db aurora.DBInstance) (string, error) {
	ctx = awswire.WithIdentity(ctx, awswire.Identity{Account: db.Account, Region: db.Region})
	group, stream := "/aws/rds/cluster/"+cluster+"/"+exportType, db.Spec.Identifier
	g, err := x.api.group(ctx, &group)
	var missing *awswire.Error
	if errors.As(err, &missing) {
		made := Group{Account: db.Account, Region: db.Region, Name: group, ID: newID(), Created: x.api.now().UTC().Truncate(time.Millisecond)}
		if _, err := x.api.groups.Create(ctx, made.key(), made); err != nil && !errors.Is(err, state.ErrExists) {
			return "", err
		}
		g, err = x.api.group(ctx, &group)
	}
	if err != nil {
		return "", err
	}
	s, err := x.api.stream(ctx, g.Value, &stream)
	if errors.As(err, &missing) {
		s.Value, err = x.api.createStream(ctx, g, stream)
	}
	return g.Value.directory(s.Value), err
}

// entries takes a log apart. Lines that do not begin with a time belong to the one
// before.
func entries(text string, now time.Time) []Event {
	var all []Event
	for line := range strings.Lines(text) {
		at, ok := lineTime(line)
		line = strings.ToValidUTF8(strings.TrimRight(line, "\n"), "\uFFFD")
		last := len(all) - 1
		if !ok && last >= 0 && len(all[last].Message)+len(line) < maxEventBytes {
			all[last].Message += "\n" + line
			continue
		}
		if !ok {
			at = now
			if last >= 0 {
				at = time.UnixMilli(all[last].Time)
			}
		}
		if len(line) > maxEventBytes {
			line = strings.ToValidUTF8(line[:maxEventBytes], "")
		}
		if line != "" {
			all = append(all, Event{Time: at.UnixMilli(), Ingested: now.UnixMilli(), Message: line})
		}
	}
	return all
}

// lineTime is the time that log_line_prefix puts at the beginning of a line.
func lineTime(line string) (time.Time, bool) {
	const layout = "2006-01-02 15:04:05"
	if len(line) < len(layout) {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, line[:len(layout)])
	return at, err == nil
}

const positionFile = "exported.json"

func (e *events) position(stream string) (position, error) {
	var at position
	data, err := os.ReadFile(filepath.Join(e.dir, stream, positionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil {
		return at, fmt.Errorf("how far a log was exported: %w", err)
	}
	return at, nil
}

func (e *events) setPosition(stream string, at position) error {
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	path := filepath.Join(e.dir, stream, positionFile)
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("how far a log was exported: %w", err)
	}
	return nil
}
