"""RDS: a cluster from its subnet group to its end."""

from calls import NOTHING, Text, client

PASSWORD = "correct-horse-9"
CLUSTER, WRITER, READER = "boto", "boto-1", "boto-2"
ENGINE = "aurora-postgresql"


def around(c):
    """What is there without a cluster."""
    rds, ec2 = client("rds"), client("ec2")
    c.ok(rds.describe_db_engine_versions, {"DBEngineVersions[0].[Engine,DBParameterGroupFamily]": [ENGINE, "aurora-postgresql15"]}, Engine=ENGINE, DefaultOnly=True)
    c.ok(rds.describe_orderable_db_instance_options, {"OrderableDBInstanceOptions[0].DBInstanceClass": "db.t4g.medium"},
         Engine=ENGINE, DBInstanceClass="db.t4g.medium", MaxRecords=20)
    c.ok(rds.describe_account_attributes, {"AccountQuotas[?AccountQuotaName=='DBInstances'].Used": [0]})
    c.ok(rds.describe_certificates, {"Certificates[].CertificateType": ["CA"]})
    c.ok(rds.describe_event_categories, {"EventCategoriesMapList[].SourceType": ["db-cluster"]}, SourceType="db-cluster")
    c.refused(rds.describe_db_clusters, "DBClusterNotFoundFault", 404, "none not found", DBClusterIdentifier="none")
    c.refused(rds.describe_db_instances, "DBInstanceNotFound", 404, "none not found", DBInstanceIdentifier="none")
    c.refused(rds.create_db_proxy, "UnsupportedOperation", 400, "RDS Proxy", DBProxyName="p", EngineFamily="POSTGRESQL", RoleArn="arn:aws:iam::1:role/r", VpcSubnetIds=["subnet-1"], Auth=[{}])
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
    c.ok(rds.create_db_subnet_group, {"DBSubnetGroup.SubnetGroupStatus": "Complete", "length(DBSubnetGroup.Subnets)": 2},
         DBSubnetGroupName="Boto", DBSubnetGroupDescription="of a test", SubnetIds=subnets[:2])
    c.refused(rds.create_db_subnet_group, "DBSubnetGroupDoesNotCoverEnoughAZs", 400, "", DBSubnetGroupName="one", DBSubnetGroupDescription="x", SubnetIds=subnets[:1])
    c.refused(rds.create_db_subnet_group, "DBSubnetGroupAlreadyExists", 400, "already exists", DBSubnetGroupName="boto", DBSubnetGroupDescription="x", SubnetIds=subnets)
    c.ok(rds.modify_db_subnet_group, {"length(DBSubnetGroup.Subnets)": 3}, DBSubnetGroupName="boto", SubnetIds=subnets)
    for kind in ("cluster", ""):
        name = "DBClusterParameterGroup" if kind else "DBParameterGroup"
        create = rds.create_db_cluster_parameter_group if kind else rds.create_db_parameter_group
        c.ok(create, {name + "." + name + "Name": "boto"}, **{name + "Name": "boto", "DBParameterGroupFamily": "aurora-postgresql15", "Description": "of a test"})
    c.ok(rds.modify_db_cluster_parameter_group, {"DBClusterParameterGroupName": "boto"}, DBClusterParameterGroupName="boto", Parameters=[
        {"ParameterName": "work_mem", "ParameterValue": "8192", "ApplyMethod": "immediate"},
        {"ParameterName": "max_connections", "ParameterValue": "90", "ApplyMethod": "pending-reboot"}])
    c.refused(rds.modify_db_cluster_parameter_group, "InvalidParameterCombination", 400, "cannot use immediate apply method for static parameter",
              DBClusterParameterGroupName="boto", Parameters=[{"ParameterName": "max_connections", "ParameterValue": "80", "ApplyMethod": "immediate"}])
    c.refused(rds.modify_db_cluster_parameter_group, "InvalidParameterValue", 400, "", DBClusterParameterGroupName="boto",
              Parameters=[{"ParameterName": "work_mem", "ParameterValue": "much", "ApplyMethod": "immediate"}])
    c.pages(rds, "describe_db_cluster_parameters", "Parameters[].[ParameterName,ParameterValue]", [["max_connections", "90"], ["work_mem", "8192"]],
            DBClusterParameterGroupName="boto", Source="user")
    c.pages(rds, "describe_db_cluster_parameter_groups", "DBClusterParameterGroups[].DBClusterParameterGroupName", ["boto", "default.aurora-postgresql15"])


def cluster(c):
    """A cluster with two instances."""
    rds = client("rds")
    create = {"DBClusterIdentifier": CLUSTER.upper(), "Engine": ENGINE, "MasterUsername": "postgres", "MasterUserPassword": PASSWORD,
              "DBSubnetGroupName": "boto", "DBClusterParameterGroupName": "boto", "DatabaseName": "app"}
    c.refused(rds.create_db_cluster, "InvalidParameterValue", 400, "MasterUserPassword", **{**create, "MasterUserPassword": "short"})
    c.refused(rds.create_db_cluster, "InvalidParameterCombination", 400, "Cannot find version 99.9 for aurora-postgresql", **create, EngineVersion="99.9")
    c.refused(rds.create_db_cluster, "InvalidParameterValue", 400, "is not a valid identifier", **{**create, "DBClusterIdentifier": "1--x"})
    c.refused(rds.create_db_cluster, "DBSubnetGroupNotFoundFault", 404, "none", **{**create, "DBSubnetGroupName": "none"})
    made = c.ok(rds.create_db_cluster, {
        "DBCluster.DBClusterIdentifier": CLUSTER, "DBCluster.Status": "creating", "DBCluster.DBSubnetGroup": "boto",
        "DBCluster.DatabaseName": "app", "DBCluster.DeletionProtection": True, "DBCluster.Port": 5432,
        "DBCluster.TagList": [{"Key": "of", "Value": "test"}], "DBCluster.DBClusterMembers": [],
    }, **create, DeletionProtection=True, Tags=[{"Key": "of", "Value": "test"}])["DBCluster"]
    c.refused(rds.create_db_cluster, "DBClusterAlreadyExistsFault", 400, "already exists", **create)
    instance = {"DBClusterIdentifier": CLUSTER, "Engine": ENGINE, "DBInstanceClass": "db.t4g.medium"}
    c.refused(rds.create_db_instance, "InvalidParameterValue", 400, "Invalid DB Instance class", **{**instance, "DBInstanceClass": "db.none"}, DBInstanceIdentifier=WRITER)
    c.ok(rds.create_db_instance, {"DBInstance.DBInstanceStatus": "creating", "DBInstance.DBClusterIdentifier": CLUSTER},
         **instance, DBInstanceIdentifier=WRITER, DBParameterGroupName="boto")
    c.refused(rds.create_db_instance, "DBInstanceAlreadyExists", 400, "already exists", **instance, DBInstanceIdentifier=WRITER)
    c.ok(rds.create_db_instance, {"DBInstance.PromotionTier": 3}, **instance, DBInstanceIdentifier=READER, PromotionTier=3)
    c.wait(rds, "db_instance_available", DBInstanceIdentifier=WRITER)
    c.wait(rds, "db_instance_available", DBInstanceIdentifier=READER)
    c.wait(rds, "db_cluster_available", DBClusterIdentifier=CLUSTER)
    members = "sort_by(DBClusters[0].DBClusterMembers, &DBInstanceIdentifier)[].[DBInstanceIdentifier,IsClusterWriter,PromotionTier,DBClusterParameterGroupStatus]"
    c.ok(rds.describe_db_clusters, {members: [[WRITER, True, 1, "in-sync"], [READER, False, 3, "in-sync"]], "DBClusters[0].Status": "available"},
         DBClusterIdentifier=made["DBClusterArn"])
    c.ok(rds.describe_db_instances, {"DBInstances[].DBInstanceIdentifier": [WRITER, READER], "DBInstances[0].DBParameterGroups[].DBParameterGroupName": ["boto"]},
         Filters=[{"Name": "db-cluster-id", "Values": [CLUSTER]}])
    c.refused(rds.describe_db_clusters, "InvalidParameterValue", 400, "Unrecognized filter name", Filters=[{"Name": "nonsense", "Values": ["x"]}])
    return made["DBClusterArn"]


def changes(c, arn):
    """What is changed while it runs."""
    rds = client("rds")
    c.ok(rds.add_tags_to_resource, NOTHING, ResourceName=arn, Tags=[{"Key": "stage", "Value": "dev"}])
    c.ok(rds.remove_tags_from_resource, NOTHING, ResourceName=arn, TagKeys=["of"])
    c.ok(rds.list_tags_for_resource, {"TagList": [{"Key": "stage", "Value": "dev"}]}, ResourceName=arn)
    c.ok(rds.modify_db_cluster, {"DBCluster.BackupRetentionPeriod": 3, "DBCluster.PreferredMaintenanceWindow": "sun:05:00-sun:06:00"},
         DBClusterIdentifier=CLUSTER, BackupRetentionPeriod=3, PreferredMaintenanceWindow="Sun:05:00-Sun:06:00", ApplyImmediately=True)
    c.refused(rds.modify_db_cluster, "InvalidParameterValue", 400, "", DBClusterIdentifier=CLUSTER, BackupRetentionPeriod=36)
    c.ok(rds.modify_db_instance, {"DBInstance.PendingModifiedValues.DBInstanceClass": "db.t4g.large"}, DBInstanceIdentifier=READER, DBInstanceClass="db.t4g.large")
    c.ok(rds.modify_db_instance, {"DBInstance.PromotionTier": 0}, DBInstanceIdentifier=READER, PromotionTier=0, ApplyImmediately=True)
    c.wait(rds, "db_instance_available", DBInstanceIdentifier=READER)
    c.ok(rds.describe_db_instances, {"DBInstances[0].DBInstanceClass": "db.t4g.large"}, DBInstanceIdentifier=READER)
    c.ok(rds.modify_db_cluster_parameter_group, {"DBClusterParameterGroupName": "boto"}, DBClusterParameterGroupName="boto",
         Parameters=[{"ParameterName": "max_connections", "ParameterValue": "95", "ApplyMethod": "pending-reboot"}])
    c.ok(rds.reboot_db_instance, {"DBInstance.DBInstanceStatus": "rebooting"}, DBInstanceIdentifier=READER)
    c.wait(rds, "db_instance_available", DBInstanceIdentifier=READER)
    c.ok(rds.failover_db_cluster, {"DBCluster.Status": "failing-over"}, DBClusterIdentifier=CLUSTER, TargetDBInstanceIdentifier=READER)
    c.wait(rds, "db_cluster_available", DBClusterIdentifier=CLUSTER)
    c.ok(rds.describe_db_clusters, {"DBClusters[0].DBClusterMembers[?IsClusterWriter].DBInstanceIdentifier": [READER]}, DBClusterIdentifier=CLUSTER)
    c.ok(rds.create_db_cluster_endpoint, {"DBClusterEndpointIdentifier": "boto-any", "EndpointType": "CUSTOM", "CustomEndpointType": "ANY", "ExcludedMembers": [WRITER]},
         DBClusterIdentifier=CLUSTER, DBClusterEndpointIdentifier="boto-any", EndpointType="ANY", ExcludedMembers=[WRITER])
    c.refused(rds.create_db_cluster_endpoint, "DBClusterEndpointAlreadyExistsFault", 400, "", DBClusterIdentifier=CLUSTER, DBClusterEndpointIdentifier="boto-any", EndpointType="ANY")
    c.ok(rds.modify_db_cluster_endpoint, {"StaticMembers": [READER]}, DBClusterEndpointIdentifier="boto-any", StaticMembers=[READER])
    c.ok(rds.describe_db_cluster_endpoints, {"sort(DBClusterEndpoints[].EndpointType)": ["CUSTOM", "READER", "WRITER"]}, DBClusterIdentifier=CLUSTER)
    c.ok(rds.delete_db_cluster_endpoint, {"Status": "deleting"}, DBClusterEndpointIdentifier="boto-any")
    c.refused(rds.delete_db_cluster_endpoint, "DBClusterEndpointNotFoundFault", 400, "", DBClusterEndpointIdentifier="none")
    logs = c.ok(rds.describe_db_log_files, {"DescribeDBLogFiles[0].LogFileName": Text("error/postgresql.log")}, DBInstanceIdentifier=WRITER)
    c.ok(rds.download_db_log_file_portion, {"LogFileData": Text("database system")}, DBInstanceIdentifier=WRITER,
         LogFileName=logs["DescribeDBLogFiles"][0]["LogFileName"], Marker="0")
    c.ok(rds.describe_pending_maintenance_actions, {"PendingMaintenanceActions": []})
    c.ok(rds.describe_events, {"contains(Events[].Message, 'DB cluster created.')": True}, SourceType="db-cluster", SourceIdentifier=CLUSTER, Duration=60)
    managed = c.ok(rds.modify_db_cluster, {"DBCluster.MasterUserSecret.SecretArn": Text("secret:rds!cluster-")},
                   DBClusterIdentifier=CLUSTER, ManageMasterUserPassword=True, ApplyImmediately=True)
    c.wait(rds, "db_cluster_available", DBClusterIdentifier=CLUSTER)
    secret = managed["DBCluster"]["MasterUserSecret"]["SecretArn"]
    c.ok(client("secretsmanager").get_secret_value, {"SecretString": Text('"username":"postgres"')}, SecretId=secret)
    c.refused(client("secretsmanager").delete_secret, "InvalidRequestException", 400, "", SecretId=secret)


def life(c):
    """Stopped, started, renamed, and deleted."""
    rds = client("rds")
    status = "DBClusters[0].Status"
    c.ok(rds.stop_db_cluster, {"DBCluster.Status": "stopping"}, DBClusterIdentifier=CLUSTER)
    c.until(rds.describe_db_clusters, status, "stopped", DBClusterIdentifier=CLUSTER)
    c.refused(rds.failover_db_cluster, "InvalidDBClusterStateFault", 400, "", DBClusterIdentifier=CLUSTER)
    c.ok(rds.start_db_cluster, {"DBCluster.Status": "starting"}, DBClusterIdentifier=CLUSTER)
    c.wait(rds, "db_cluster_available", DBClusterIdentifier=CLUSTER)
    c.wait(rds, "db_instance_available", DBInstanceIdentifier=WRITER)
    c.ok(rds.modify_db_cluster, {"DBCluster.DBClusterIdentifier": "renamed"}, DBClusterIdentifier=CLUSTER, NewDBClusterIdentifier="renamed", ApplyImmediately=True)
    c.wait(rds, "db_cluster_available", DBClusterIdentifier="renamed")
    c.refused(rds.describe_db_clusters, "DBClusterNotFoundFault", 404, "", DBClusterIdentifier=CLUSTER)
    gone = {"DBClusterIdentifier": "renamed", "SkipFinalSnapshot": True}
    c.refused(rds.delete_db_cluster, "InvalidParameterCombination", 400, "please disable deletion protection and try again", **gone)
    c.ok(rds.modify_db_cluster, {"DBCluster.DeletionProtection": False}, DBClusterIdentifier="renamed", DeletionProtection=False)
    c.refused(rds.delete_db_cluster, "InvalidDBClusterStateFault", 400, "Cluster cannot be deleted, it still contains DB instances in non-deleting state.", **gone)
    c.refused(rds.delete_db_subnet_group, "InvalidDBSubnetGroupStateFault", 400, "", DBSubnetGroupName="boto")
    c.refused(rds.delete_db_cluster_parameter_group, "InvalidDBParameterGroupState", 400, "", DBClusterParameterGroupName="boto")
    for instance in (WRITER, READER):
        c.ok(rds.delete_db_instance, {"DBInstance.DBInstanceStatus": "deleting"}, DBInstanceIdentifier=instance)
    for instance in (WRITER, READER):
        c.wait(rds, "db_instance_deleted", DBInstanceIdentifier=instance)
    c.ok(rds.delete_db_cluster, {"DBCluster.DBClusterIdentifier": "renamed"}, **gone)
    c.wait(rds, "db_cluster_deleted", DBClusterIdentifier="renamed")
    c.pages(rds, "describe_db_clusters", "DBClusters", [])
    c.ok(rds.delete_db_subnet_group, NOTHING, DBSubnetGroupName="boto")
    c.ok(rds.delete_db_cluster_parameter_group, NOTHING, DBClusterParameterGroupName="boto")
    c.ok(rds.delete_db_parameter_group, NOTHING, DBParameterGroupName="boto")
