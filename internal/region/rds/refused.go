package rds

import "github.com/daybreakdb/daybreak/internal/region/awswire"

// refuseLater names the operations of features of Aurora PostgreSQL that are not
// here. Those that no cluster of Aurora PostgreSQL has are not known.
func refuseLater(wire *awswire.Service) {
	wire.Refuse("it has no exports of snapshots yet", "StartExportTask", "DescribeExportTasks", "CancelExportTask")
	wire.Refuse("it has no global databases yet",
		"CreateGlobalCluster", "ModifyGlobalCluster", "DeleteGlobalCluster", "RemoveFromGlobalCluster", "SwitchoverGlobalCluster", "FailoverGlobalCluster")
	wire.Refuse("it has no RDS Proxy yet",
		"CreateDBProxy", "DescribeDBProxies", "ModifyDBProxy", "DeleteDBProxy", "DescribeDBProxyTargetGroups", "ModifyDBProxyTargetGroup",
		"RegisterDBProxyTargets", "DeregisterDBProxyTargets", "DescribeDBProxyTargets", "CreateDBProxyEndpoint", "DescribeDBProxyEndpoints",
		"ModifyDBProxyEndpoint", "DeleteDBProxyEndpoint")
	wire.Refuse("it has no blue/green deployments yet",
		"CreateBlueGreenDeployment", "DescribeBlueGreenDeployments", "SwitchoverBlueGreenDeployment", "DeleteBlueGreenDeployment")
	wire.Refuse("it has no database activity streams yet", "StartActivityStream", "StopActivityStream", "ModifyActivityStream")
	wire.Refuse("it has no recommendations", "DescribeDBRecommendations", "ModifyDBRecommendation")
	wire.Refuse("it has no zero-ETL integrations", "CreateIntegration", "DescribeIntegrations", "ModifyIntegration", "DeleteIntegration")
	wire.Refuse("it has no Limitless databases", "CreateDBShardGroup", "DescribeDBShardGroups", "ModifyDBShardGroup", "DeleteDBShardGroup", "RebootDBShardGroup")
	wire.Refuse("it has no Aurora Serverless v1", "ModifyCurrentDBClusterCapacity")
	wire.Refuse("Aurora PostgreSQL has no backtracking", "BacktrackDBCluster", "DescribeDBClusterBacktracks")
	wire.Refuse("a role is given to the DB cluster", "AddRoleToDBInstance", "RemoveRoleFromDBInstance")
}
