package rds

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// maxEndpoints is how many custom endpoints a cluster can have.
const maxEndpoints = 5

// CreateDBClusterEndpoint makes a custom endpoint.
func (s *service) CreateDBClusterEndpoint(ctx context.Context, in *rds.CreateDBClusterEndpointInput) (*rds.CreateDBClusterEndpointOutput, error) {
	c := scopeOf(ctx)
	e := aurora.CustomEndpoint{ResourceID: newResourceID("cluster-endpoint")}
	var err error
	if e.Identifier, err = checkIdentifier("DBClusterEndpointIdentifier", aws.ToString(in.DBClusterEndpointIdentifier)); err != nil {
		return nil, err
	}
	if e.Tags, err = checkTags(in.Tags); err != nil {
		return nil, err
	}
	item, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	if err := s.chooseMembers(c, &e, item.Key, in.EndpointType, in.StaticMembers, in.ExcludedMembers); err != nil {
		return nil, err
	}
	changed, err := s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested || refuseStopped(v) != nil {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
		}
		if slices.ContainsFunc(v.Spec.CustomEndpoints, func(have aurora.CustomEndpoint) bool { return have.Identifier == e.Identifier }) {
			return endpointTaken(e.Identifier)
		}
		if len(v.Spec.CustomEndpoints) >= maxEndpoints {
			return awswire.Errorf(403, "DBClusterEndpointQuotaExceededFault", "You can't have more than %d custom endpoints in DB cluster %s.", maxEndpoints, v.Spec.Identifier)
		}
		v.Spec.CustomEndpoints = append(slices.Clone(v.Spec.CustomEndpoints), e)
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
	}
	if err != nil {
		return nil, err
	}
	out := rds.CreateDBClusterEndpointOutput(s.showEndpoint(c, &changed, &e).answer())
	return &out, nil
}

// ModifyDBClusterEndpoint changes what a custom endpoint leads to. Sessions that
// exist stay where they are.
func (s *service) ModifyDBClusterEndpoint(ctx context.Context, in *rds.ModifyDBClusterEndpointInput) (*rds.ModifyDBClusterEndpointOutput, error) {
	c := scopeOf(ctx)
	item, at, err := s.customEndpoint(c, aws.ToString(in.DBClusterEndpointIdentifier))
	if err != nil {
		return nil, err
	}
	id := item.Value.Spec.CustomEndpoints[at].ResourceID
	changed, err := s.updateCluster(ctx, item.Key, editEndpoint(id, func(e *aurora.CustomEndpoint) error {
		return s.chooseMembers(c, e, item.Key, in.EndpointType, in.StaticMembers, in.ExcludedMembers)
	}))
	if err != nil {
		return nil, endpointGone(err, in.DBClusterEndpointIdentifier)
	}
	_, e := endpointOf(&changed, id)
	out := rds.ModifyDBClusterEndpointOutput(s.showEndpoint(c, &changed, e).answer())
	return &out, nil
}

// DeleteDBClusterEndpoint ends a custom endpoint.
func (s *service) DeleteDBClusterEndpoint(ctx context.Context, in *rds.DeleteDBClusterEndpointInput) (*rds.DeleteDBClusterEndpointOutput, error) {
	c := scopeOf(ctx)
	item, at, err := s.customEndpoint(c, aws.ToString(in.DBClusterEndpointIdentifier))
	if err != nil {
		return nil, err
	}
	shown := s.showEndpoint(c, &item.Value, &item.Value.Spec.CustomEndpoints[at])
	shown.Status = aws.String("deleting")
	id := item.Value.Spec.CustomEndpoints[at].ResourceID
	_, err = s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		at, _ := endpointOf(v, id)
		if at < 0 {
			return state.ErrNotFound
		}
		v.Spec.CustomEndpoints = slices.Delete(slices.Clone(v.Spec.CustomEndpoints), at, at+1)
		return nil
	})
	if err != nil {
		return nil, endpointGone(err, in.DBClusterEndpointIdentifier)
	}
	out := rds.DeleteDBClusterEndpointOutput(shown.answer())
	return &out, nil
}

// chooseMembers gives an endpoint its type and its members, as far as they are
// given. One list takes the place of the other.
func (s *service) chooseMembers(c scope, e *aurora.CustomEndpoint, cluster string, kind *string, static, excluded []string) error {
	if kind != nil {
		e.Type = strings.ToUpper(*kind)
	}
	if !slices.Contains([]string{aurora.EndpointTypeReader, aurora.EndpointTypeWriter, aurora.EndpointTypeAny}, e.Type) {
		return awswire.InvalidParameterValue("Invalid endpoint type %s. Valid types: READER, WRITER, ANY.", aws.ToString(kind))
	}
	if len(static) > 0 && len(excluded) > 0 {
		return awswire.InvalidParameterCombination("Specify StaticMembers or ExcludedMembers, not both.")
	}
	lists := []struct {
		given       []string
		list, other *[]string
	}{{static, &e.StaticMembers, &e.ExcludedMembers}, {excluded, &e.ExcludedMembers, &e.StaticMembers}}
	for _, l := range lists {
		if l.given == nil {
			continue
		}
		ids, err := s.memberIDs(c, cluster, l.given)
		if err != nil {
			return err
		}
		*l.list = ids
		if len(ids) > 0 {
			*l.other = nil
		}
	}
	return nil
}

// memberIDs are the resource ids of a cluster's instances.
func (s *service) memberIDs(c scope, cluster string, given []string) ([]string, error) {
	var ids []string
	for _, name := range given {
		item, err := s.instance(c, name)
		if err != nil {
			return nil, err
		}
		if item.Value.Spec.ClusterResourceID != cluster {
			return nil, awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s is not a member of the DB cluster.", item.Value.Spec.Identifier)
		}
		if !slices.Contains(ids, item.Key) {
			ids = append(ids, item.Key)
		}
	}
	return ids, nil
}

// customEndpoint finds an endpoint by its identifier or ARN: in which cluster it is,
// and where there.
func (s *service) customEndpoint(c scope, given string) (state.Item[aurora.DBCluster], int, error) {
	id := c.identifier("cluster-endpoint", given)
	for _, item := range s.clusters.All() {
		if !c.has(&item.Value.Meta) {
			continue
		}
		for at := range item.Value.Spec.CustomEndpoints {
			if item.Value.Spec.CustomEndpoints[at].Identifier == id {
				return item, at, nil
			}
		}
	}
	return state.Item[aurora.DBCluster]{}, -1, endpointNotFound(given)
}

func endpointTaken(id string) *awswire.Error {
	return awswire.BadRequestf("DBClusterEndpointAlreadyExistsFault", "DB cluster endpoint already exists: %s", id)
}

func endpointNotFound(id string) error {
	return awswire.BadRequestf("DBClusterEndpointNotFoundFault", "DB cluster endpoint %s not found.", id)
}

// endpointGone says so of an endpoint that went meanwhile.
func endpointGone(err error, id *string) error {
	if errors.Is(err, state.ErrNotFound) {
		return endpointNotFound(aws.ToString(id))
	}
	return err
}

// endpointOf finds a cluster's endpoint by its resource id; -1 if there is none.
func endpointOf(v *aurora.DBCluster, id string) (int, *aurora.CustomEndpoint) {
	at := slices.IndexFunc(v.Spec.CustomEndpoints, func(e aurora.CustomEndpoint) bool { return e.ResourceID == id })
	if at < 0 {
		return at, nil
	}
	return at, &v.Spec.CustomEndpoints[at]
}

// editEndpoint is the change of a cluster that changes one of its endpoints.
func editEndpoint(id string, edit func(*aurora.CustomEndpoint) error) func(*aurora.DBCluster) error {
	return func(v *aurora.DBCluster) error {
		v.Spec.CustomEndpoints = slices.Clone(v.Spec.CustomEndpoints)
		_, e := endpointOf(v, id)
		if e == nil {
			return state.ErrNotFound
		}
		return edit(e)
	}
}
