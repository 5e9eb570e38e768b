package rds_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/state"
)

const family = "aurora-postgresql15"

func set(name, value, method string) types.Parameter {
	return types.Parameter{ParameterName: &name, ParameterValue: &value, ApplyMethod: types.ApplyMethod(method)}
}

// groups makes a group of each kind, "c" and "i".
func (r region) groups(t *testing.T) {
	t.Helper()
	_, err := r.CreateDBClusterParameterGroup(t.Context(), &api.CreateDBClusterParameterGroupInput{
		DBClusterParameterGroupName: aws.String("c"), DBParameterGroupFamily: aws.String(family), Description: aws.String("of a test"), Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.CreateDBParameterGroup(t.Context(), &api.CreateDBParameterGroupInput{
		DBParameterGroupName: aws.String("I"), DBParameterGroupFamily: aws.String(family), Description: aws.String("of a test")})
	if err != nil {
		t.Fatal(err)
	}
}

func (r region) setCluster(t *testing.T, parameters ...types.Parameter) {
	t.Helper()
	if _, err := r.ModifyDBClusterParameterGroup(t.Context(), &api.ModifyDBClusterParameterGroupInput{
		DBClusterParameterGroupName: aws.String("c"), Parameters: parameters}); err != nil {
		t.Fatal(err)
	}
}

func (r region) setInstance(t *testing.T, parameters ...types.Parameter) {
	t.Helper()
	if _, err := r.ModifyDBParameterGroup(t.Context(), &api.ModifyDBParameterGroupInput{
		DBParameterGroupName: aws.String("i"), Parameters: parameters}); err != nil {
		t.Fatal(err)
	}
}

// parameters are those that an instance's server is to have.
func (r region) parameters(t *testing.T, id string) map[string]string {
	t.Helper()
	item, err := state.DBInstances(r.store).Get(t.Context(), *r.instance(t, id).DbiResourceId)
	if err != nil {
		t.Fatal(err)
	}
	return item.Value.Spec.Parameters
}

// has waits until settings of an instance, and both its statuses, are these.
func (r region) has(t *testing.T, id, cluster, own string, settings ...string) {
	t.Helper()
	var got string
	want := fmt.Sprint(cluster, " ", own, " ", settings)
	defer func() {
		if t.Failed() {
			t.Logf("%s is %s", id, got)
		}
	}()
	wait(t, id+" is "+want, func() bool {
		have := r.parameters(t, id)
		var values []string
		for i := 0; i < len(settings); i += 2 {
			values = append(values, settings[i], have[settings[i]])
		}
		in := r.instance(t, id)
		for _, m := range r.cluster(t, *in.DBClusterIdentifier).DBClusterMembers {
			if *m.DBInstanceIdentifier == id {
				got = fmt.Sprint(*m.DBClusterParameterGroupStatus, " ", *in.DBParameterGroups[0].ParameterApplyStatus, " ", values)
			}
		}
		return got == want
	})
}

func (r region) reboot(t *testing.T, id string) {
	t.Helper()
	wait(t, id+" is available", func() bool { return *r.instance(t, id).DBInstanceStatus == "available" })
	if _, err := r.RebootDBInstance(t.Context(), &api.RebootDBInstanceInput{DBInstanceIdentifier: &id}); err != nil {
		t.Fatal(err)
	}
}

// withGroups is a cluster of a writer and a reader that use the groups of a test.
func withGroups(t *testing.T) region {
	r := start(t)
	r.control(t)
	r.groups(t)
	in := clusterInput("demo")
	in.DBClusterParameterGroupName = aws.String("c")
	if _, err := r.CreateDBCluster(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"w", "r"} {
		in := instanceInput("demo", id)
		in.DBParameterGroupName = aws.String("i")
		if _, err := r.CreateDBInstance(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		wait(t, id+" is available", func() bool { return *r.instance(t, id).DBInstanceStatus == "available" })
	}
	return r
}

func TestAChangeOfAGroupReachesThoseWhoUseIt(t *testing.T) {
	r := withGroups(t)
	r.setCluster(t, set("work_mem", "8192", "immediate"), set("random_page_cost", "1.5", "immediate"))
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "8192", "random_page_cost", "1.5")
	r.setInstance(t, set("WORK_MEM", "16384", "immediate"))
	r.has(t, "r", "in-sync", "in-sync", "work_mem", "16384", "random_page_cost", "1.5")
	r.setCluster(t, set("work_mem", "4096", "immediate"))
	r.has(t, "r", "in-sync", "in-sync", "work_mem", "16384")
	_, err := r.ResetDBParameterGroup(t.Context(), &api.ResetDBParameterGroupInput{DBParameterGroupName: aws.String("i"), ResetAllParameters: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	r.has(t, "r", "in-sync", "in-sync", "work_mem", "4096")
	if status := *r.instance(t, "r").DBInstanceStatus; status != "available" {
		t.Errorf("status %s", status)
	}
	_, err = r.ResetDBClusterParameterGroup(t.Context(), &api.ResetDBClusterParameterGroupInput{DBClusterParameterGroupName: aws.String("c"),
		Parameters: []types.Parameter{{ParameterName: aws.String("work_mem"), ApplyMethod: types.ApplyMethodImmediate}}})
	if err != nil {
		t.Fatal(err)
	}
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "", "random_page_cost", "1.5")
}

func TestWhatIsToWaitWaitsForTheRestart(t *testing.T) {
	r := withGroups(t)
	r.setInstance(t, set("work_mem", "8192", "immediate"))
	r.setInstance(t, set("work_mem", "16384", "pending-reboot"), set("track_activity_query_size", "8192", "pending-reboot"))
	r.has(t, "w", "in-sync", "pending-reboot", "work_mem", "8192", "track_activity_query_size", "8192")
	r.reboot(t, "w")
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "16384", "track_activity_query_size", "8192")
	r.has(t, "r", "in-sync", "pending-reboot", "work_mem", "8192")
	r.setInstance(t, set("work_mem", "32768", "immediate"))
	r.has(t, "r", "in-sync", "pending-reboot", "work_mem", "32768")
	r.reboot(t, "r")
	r.has(t, "r", "in-sync", "in-sync", "work_mem", "32768")
	r.setCluster(t, set("rds.logical_replication", "1", "pending-reboot"))
	r.has(t, "r", "pending-reboot", "in-sync", "wal_level", "logical")
	r.reboot(t, "r")
	r.has(t, "r", "in-sync", "in-sync", "wal_level", "logical")
}

func TestReadersChangeTogetherWithTheirWriter(t *testing.T) {
	r := withGroups(t)
	r.setCluster(t, set("max_connections", "300", "pending-reboot"))
	r.has(t, "w", "pending-reboot", "in-sync", "max_connections", "")
	r.reboot(t, "r")
	r.has(t, "r", "pending-reboot", "in-sync", "max_connections", "")
	r.reboot(t, "w")
	for _, id := range []string{"w", "r"} {
		r.has(t, id, "in-sync", "in-sync", "max_connections", "300")
	}
	r.setCluster(t, set("max_connections", "400", "pending-reboot"))
	if _, err := r.CreateDBInstance(t.Context(), instanceInput("demo", "late")); err != nil {
		t.Fatal(err)
	}
	r.has(t, "late", "pending-reboot", "in-sync", "max_connections", "300")
}

func TestAnotherGroup(t *testing.T) {
	r := withGroups(t)
	r.setCluster(t, set("work_mem", "8192", "immediate"), set("rds.force_ssl", "1", "immediate"))
	r.setInstance(t, set("random_page_cost", "1.5", "immediate"))
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "8192", "random_page_cost", "1.5")
	forced := func(want bool) {
		t.Helper()
		wait(t, fmt.Sprint("TLS is forced: ", want), func() bool { return r.stored(t, "demo").Spec.ForceSSL == want })
	}
	forced(true)
	_, err := r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{DBClusterIdentifier: aws.String("demo"), DBClusterParameterGroupName: aws.String("default." + family)})
	if err != nil {
		t.Fatal(err)
	}
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "", "random_page_cost", "1.5")
	forced(false)
	out, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("w"), DBParameterGroupName: aws.String("default." + family)})
	if err != nil || *out.DBInstance.DBParameterGroups[0].DBParameterGroupName != "default."+family {
		t.Fatalf("%+v, %v", out, err)
	}
	wait(t, "the other group is shown", func() bool { return *r.instance(t, "w").DBParameterGroups[0].DBParameterGroupName == "default."+family })
	r.reboot(t, "w")
	r.has(t, "w", "in-sync", "in-sync", "work_mem", "", "random_page_cost", "")
	_, err = r.DeleteDBParameterGroup(t.Context(), &api.DeleteDBParameterGroupInput{DBParameterGroupName: aws.String("i")})
	wantCode(t, "deleting a group that is used", err, "InvalidDBParameterGroupState")
	if _, err = r.DeleteDBClusterParameterGroup(t.Context(), &api.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: aws.String("c")}); err != nil {
		t.Error(err)
	}
	_, err = r.DescribeDBClusterParameterGroups(t.Context(), &api.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: aws.String("c")})
	wantCode(t, "a group that is gone", err, "DBParameterGroupNotFound")
}

func TestParametersAreShownWithTheirSource(t *testing.T) {
	r := start(t)
	r.groups(t)
	r.setCluster(t, set("work_mem", "{DBInstanceClassMemory/65536}", "immediate"), set("rds.force_ssl", "1", "pending-reboot"))
	list := func(source *string) map[string]types.Parameter {
		t.Helper()
		found := map[string]types.Parameter{}
		pages := api.NewDescribeDBClusterParametersPaginator(r, &api.DescribeDBClusterParametersInput{DBClusterParameterGroupName: aws.String("c"), Source: source})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				found[*p.ParameterName] = p
			}
		}
		return found
	}
	user := list(aws.String("user"))
	if len(user) != 2 || *user["work_mem"].ParameterValue != "{DBInstanceClassMemory/65536}" || user["rds.force_ssl"].ApplyMethod != "pending-reboot" ||
		*user["work_mem"].Source != "user" || *user["work_mem"].AllowedValues != "64-2147483647" {
		t.Errorf("%+v", user)
	}
	all := list(nil)
	if len(all) < 350 || *all["timezone"].Source != "system" || *all["timezone"].ParameterValue != "UTC" || *all["seq_page_cost"].Source != "engine-default" ||
		*all["max_connections"].ApplyType != "static" || *all["shared_buffers"].IsModifiable {
		t.Errorf("%d parameters: %+v", len(all), all["timezone"])
	}
	defaults, err := r.DescribeEngineDefaultParameters(t.Context(), &api.DescribeEngineDefaultParametersInput{DBParameterGroupFamily: aws.String(family)})
	if err != nil || len(defaults.EngineDefaults.Parameters) != 100 || defaults.EngineDefaults.Marker == nil {
		t.Errorf("%+v, %v", defaults, err)
	}
	copied, err := r.CopyDBClusterParameterGroup(t.Context(), &api.CopyDBClusterParameterGroupInput{SourceDBClusterParameterGroupIdentifier: aws.String("c"),
		TargetDBClusterParameterGroupIdentifier: aws.String("copy"), TargetDBClusterParameterGroupDescription: aws.String("a copy")})
	if err != nil || *copied.DBClusterParameterGroup.DBClusterParameterGroupArn != "arn:aws:rds:us-west-2:111122223333:cluster-pg:copy" {
		t.Errorf("%+v, %v", copied, err)
	}
	groups, err := r.DescribeDBClusterParameterGroups(t.Context(), nil)
	if err != nil || len(groups.DBClusterParameterGroups) != 3 {
		t.Errorf("%+v, %v", groups, err)
	}
	listed, err := r.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceName: aws.String("arn:aws:rds:us-west-2:111122223333:cluster-pg:c")})
	if err != nil || len(listed.TagList) != 1 {
		t.Errorf("%+v, %v", listed, err)
	}
	events, err := r.DescribeEvents(t.Context(), &api.DescribeEventsInput{SourceType: types.SourceTypeDbParameterGroup, SourceIdentifier: aws.String("c")})
	if err != nil || len(events.Events) != 2 {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	r := start(t)
	r.groups(t)
	many := make([]types.Parameter, 21)
	for i := range many {
		many[i] = set(fmt.Sprint("p", i), "1", "immediate")
	}
	for name, c := range map[string]struct {
		group      string
		parameters []types.Parameter
		code       string
	}{
		"no such group":           {"none", []types.Parameter{set("work_mem", "64", "immediate")}, "DBParameterGroupNotFound"},
		"the default group":       {"default." + family, []types.Parameter{set("work_mem", "64", "immediate")}, "InvalidParameterValue"},
		"nothing":                 {"i", []types.Parameter{}, "InvalidParameterValue"},
		"too many":                {"i", many, "InvalidParameterValue"},
		"unknown":                 {"i", []types.Parameter{set("speed", "64", "immediate")}, "InvalidParameterValue"},
		"of clusters only":        {"i", []types.Parameter{set("rds.force_ssl", "1", "immediate")}, "InvalidParameterValue"},
		"out of range":            {"i", []types.Parameter{set("work_mem", "1", "immediate")}, "InvalidParameterValue"},
		"no number":               {"i", []types.Parameter{set("work_mem", "1GB", "immediate")}, "InvalidParameterValue"},
		"bad formula":             {"i", []types.Parameter{set("work_mem", "{x}", "immediate")}, "InvalidParameterValue"},
		"static at once":          {"i", []types.Parameter{set("shared_preload_libraries", "auto_explain", "immediate")}, "InvalidParameterCombination"},
		"no method":               {"i", []types.Parameter{set("work_mem", "64", "")}, "InvalidParameterValue"},
		"twice":                   {"i", []types.Parameter{set("work_mem", "64", "immediate"), set("work_mem", "65", "immediate")}, "InvalidParameterCombination"},
		"of the service":          {"i", []types.Parameter{set("shared_buffers", "16384", "pending-reboot")}, "InvalidParameterValue"},
		"of a feature not here":   {"i", []types.Parameter{set("apg_plan_mgmt.use_plan_baselines", "true", "immediate")}, "InvalidParameterValue"},
		"a path for a library":    {"i", []types.Parameter{set("shared_preload_libraries", "/tmp/x.so", "pending-reboot")}, "InvalidParameterValue"},
		"the second of two wrong": {"i", []types.Parameter{set("work_mem", "64", "immediate"), set("seq_page_cost", "x", "immediate")}, "InvalidParameterValue"},
	} {
		_, err := r.ModifyDBParameterGroup(t.Context(), &api.ModifyDBParameterGroupInput{DBParameterGroupName: &c.group, Parameters: c.parameters})
		wantCode(t, name, err, c.code)
	}
	out, err := r.DescribeDBParameters(t.Context(), &api.DescribeDBParametersInput{DBParameterGroupName: aws.String("i"), Source: aws.String("user")})
	if err != nil || len(out.Parameters) != 0 {
		t.Errorf("refused requests changed %+v, %v", out, err)
	}
	create := func(name, family string) error {
		_, err := r.CreateDBParameterGroup(t.Context(), &api.CreateDBParameterGroupInput{DBParameterGroupName: &name, DBParameterGroupFamily: &family, Description: aws.String("d")})
		return err
	}
	wantCode(t, "a name that is taken", create("I", family), "DBParameterGroupAlreadyExists")
	wantCode(t, "a bad name", create("a--b", family), "InvalidParameterValue")
	wantCode(t, "another family", create("b", "aurora-postgresql14"), "InvalidParameterValue")
	in := clusterInput("demo")
	in.DBClusterParameterGroupName = aws.String("i")
	_, err = r.CreateDBCluster(t.Context(), in)
	wantCode(t, "a cluster with a group that is none", err, "DBClusterParameterGroupNotFound")
	r.create(t, "demo")
	instance := instanceInput("demo", "w")
	instance.DBParameterGroupName = aws.String("c")
	_, err = r.CreateDBInstance(t.Context(), instance)
	wantCode(t, "an instance with a group that is none", err, "DBParameterGroupNotFound")
	_, err = r.DeleteDBClusterParameterGroup(t.Context(), &api.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: aws.String("default." + family)})
	wantCode(t, "deleting the default group", err, "InvalidDBParameterGroupState")
}
