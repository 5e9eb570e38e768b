"""The AWS CLI. It takes seconds to start, so what boto3 shows is not shown again."""

import json
import os
import tempfile

from calls import Text


def command_line(c):
    c.cli("sts", "get-caller-identity", expect={"length(Account)": 12})
    c.cli("rds", "describe-db-instances", "--db-instance-identifier", "none", refused="DBInstanceNotFound")
    c.cli("rds", "create-db-cluster", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql", "--master-username", "postgres",
          "--manage-master-user-password", "--tags", "Key=of,Value=test",
          expect={"DBCluster.Status": "creating", "DBCluster.MasterUserSecret.SecretStatus": Text("ti")})
    c.cli("rds", "create-db-instance", "--db-instance-identifier", "cli-1", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql",
          "--db-instance-class", "db.t4g.medium", expect={"DBInstance.DBInstanceStatus": "creating"})
    c.cli("iam", "get-user", "--user-name", "none", refused="NoSuchEntity")
    c.cli("kms", "list-keys", "--max-items", "1", expect={"length(Keys)": 1, "Keys[0].KeyArn": Text("arn:aws:kms:")})
    c.cli("secretsmanager", "list-secrets", expect={"SecretList[].OwningService": ["rds"]})
    c.cli("ec2", "describe-regions", "--region-names", os.environ["AWS_REGION"], expect={"Regions[].RegionName": [os.environ["AWS_REGION"]]})
    c.cli("rds", "wait", "db-instance-available", "--db-instance-identifier", "cli-1", expect={"keys(@)": []}, seconds=120)
    c.cli("rds", "describe-db-clusters", "--filters", "Name=db-cluster-id,Values=cli", expect={"DBClusters[].Status": ["available"]})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"DBInstanceIdentifier": "cli-1"}, file)
        file.flush()
        c.cli("rds", "delete-db-instance", "--cli-input-json", "file://" + file.name, expect={"DBInstance.DBInstanceStatus": "deleting"})
    c.cli("rds", "delete-db-cluster", "--db-cluster-identifier", "cli", refused="InvalidParameterCombination")
    c.cli("rds", "delete-db-cluster", "--db-cluster-identifier", "cli", "--skip-final-snapshot", expect={"DBCluster.DBClusterIdentifier": "cli"})
    c.cli("rds", "wait", "db-cluster-deleted", "--db-cluster-identifier", "cli", expect={"keys(@)": []}, seconds=120)
