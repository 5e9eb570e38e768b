package rds

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestStatusInfosSayWhatIsWrongWithAnInstance(t *testing.T) {
	running := func(change func(*aurora.DBInstance)) *aurora.DBInstance {
		in := &aurora.DBInstance{}
		in.Server.Phase, in.Server.Version, in.Server.SharedBuffers, in.Server.MaxConnections = aurora.PhaseRunning, "15.18", 64<<20, 100
		change(in)
		return in
	}
	const server = "PostgreSQL 15.18, shared_buffers 64 MiB, max_connections 100"
	for name, c := range map[string]struct {
		change func(*aurora.DBInstance)
		want   string
		normal bool
	}{
		"well": {func(*aurora.DBInstance) {}, server, true},
		"damaged pages": {func(in *aurora.DBInstance) {
			in.Status.Damaged, in.Status.Reason = true, "pages of postgres fail their checksums"
		}, server + "; pages of postgres fail their checksums", false},
		"cannot be started": {func(in *aurora.DBInstance) {
			in.Status.Unstartable, in.Status.Reason = true, "PostgreSQL cannot be started from its data: no checkpoint"
		}, server + "; PostgreSQL cannot be started from its data: no checkpoint", false},
		"said once": {func(in *aurora.DBInstance) {
			in.Server.Message, in.Status.Reason = "left out: work_mem", "left out: work_mem"
		}, server + "; left out: work_mem", true},
	} {
		t.Run(name, func(t *testing.T) {
			infos := serverInfos(running(c.change), &aurora.DBCluster{})
			if len(infos) != 1 || aws.ToString(infos[0].Message) != c.want || aws.ToBool(infos[0].Normal) != c.normal {
				t.Errorf("%+v", infos)
			}
		})
	}
}
