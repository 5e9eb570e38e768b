package rds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Kinds of StatusInfos, where AWS says how an instance does and we say what its
// labels (class, engine version) mean on this host.
const (
	infoServer    = "server"             // what really runs
	infoPublished = "published endpoint" // "writer", "reader" or "instance", and host:port
)

// serverInfos are what is really there of an instance.
func serverInfos(v *aurora.DBInstance, cluster *aurora.DBCluster) []types.DBInstanceStatusInfo {
	info := func(kind, status, message string) types.DBInstanceStatusInfo {
		normal := v.Server.Phase != aurora.PhaseFailed && !v.Status.Damaged && !v.Status.Unstartable
		return types.DBInstanceStatusInfo{StatusType: aws.String(kind), Normal: aws.Bool(normal),
			Status: aws.String(status), Message: aws.String(message)}
	}
	if v.Server.Phase == aurora.PhaseNone {
		return nil
	}
	var message []string
	if v.Server.Version != "" {
		message = append(message, fmt.Sprintf("PostgreSQL %s, shared_buffers %d MiB, max_connections %d", v.Server.Version, v.Server.SharedBuffers>>20, v.Server.MaxConnections))
	}
	for _, text := range []string{v.Server.Message, v.Status.Reason} {
		if text != "" && !slices.Contains(message, text) {
			message = append(message, text)
		}
	}
	infos := []types.DBInstanceStatusInfo{info(infoServer, string(v.Server.Phase), strings.Join(message, "; "))}
	published := func(name string, a aurora.Address) {
		if a.Published != "" {
			infos = append(infos, info(infoPublished, name, a.Published))
		}
	}
	published("instance", v.Status.Endpoint)
	if cluster.Status.Writer == v.ResourceID {
		published("writer", cluster.Status.WriterEndpoint)
		published("reader", cluster.Status.ReaderEndpoint)
	}
	return infos
}
