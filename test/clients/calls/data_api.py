"""The Data API: SQL with the credentials of a secret."""

import json

from calls import Text, client
from databases import CLUSTER, PASSWORD


def data_api(c, arn):
    data, sm, rds = client("rds-data"), client("secretsmanager"), client("rds")
    secret = c.ok(sm.create_secret, {"Name": "data"}, Name="data",
                  SecretString=json.dumps({"username": "postgres", "password": PASSWORD}))["ARN"]
    at = {"resourceArn": arn, "secretArn": secret, "database": "app"}
    c.refused(data.execute_statement, "HttpEndpointNotEnabledException", 400, "is not enabled for cluster", **at, sql="select 1")
    c.ok(rds.modify_db_cluster, {"DBCluster.HttpEndpointEnabled": True}, DBClusterIdentifier=CLUSTER, EnableHttpEndpoint=True)
    c.ok(data.execute_statement, {"records": [[{"longValue": 1}, {"stringValue": "app"}]], "numberOfRecordsUpdated": 0},
         **at, sql="select 1, current_database()")
    c.ok(data.execute_statement, {"numberOfRecordsUpdated": 0, "generatedFields": []}, **at,
         sql="create table t (id int primary key, name text, made timestamptz, price numeric(8,2), tags text[], doc jsonb)")
    c.ok(data.execute_statement, {"numberOfRecordsUpdated": 1}, **at,
         sql="insert into t values (:id, :name, :made, :price, '{a,b}', :doc)", parameters=[
             {"name": "id", "value": {"longValue": 7}}, {"name": "name", "value": {"isNull": True}},
             {"name": "made", "typeHint": "TIMESTAMP", "value": {"stringValue": "2026-01-02 03:04:05"}},
             {"name": "price", "typeHint": "DECIMAL", "value": {"stringValue": "9.50"}},
             {"name": "doc", "typeHint": "JSON", "value": {"stringValue": '{"a":1}'}}])
    row = [{"longValue": 7}, {"isNull": True}, {"stringValue": "2026-01-02 03:04:05"}, {"stringValue": "9.50"},
           {"arrayValue": {"stringValues": ["a", "b"]}}, {"stringValue": '{"a": 1}'}]
    c.ok(data.execute_statement, {"records": [row], "columnMetadata[].typeName": ["int4", "text", "timestamptz", "numeric", "_text", "jsonb"],
                                  "columnMetadata[0].[type,nullable,tableName]": [4, 0, "t"], "columnMetadata[3].[precision,scale]": [8, 2]},
         **at, sql="select * from t", includeResultMetadata=True)
    c.ok(data.execute_statement, {"formattedRecords": '[{"id":7,"price":9.50,"tags":["a","b"]}]'}, **at,
         sql="select id, price, tags from t", formatRecordsAs="JSON")
    c.ok(data.batch_execute_statement, {"length(updateResults)": 2}, **at, sql="insert into t (id) values (:id)", parameterSets=[
        [{"name": "id", "value": {"longValue": 8}}], [{"name": "id", "value": {"longValue": 9}}]])
    c.refused(data.batch_execute_statement, "DatabaseErrorException", 400, "duplicate key", **at, sql="insert into t (id) values (:id)", parameterSets=[
        [{"name": "id", "value": {"longValue": 10}}], [{"name": "id", "value": {"longValue": 9}}]])
    c.ok(data.execute_statement, {"records": [[{"longValue": 3}]]}, **at, sql="select count(*) from t")
    for end, status, count in ((data.rollback_transaction, "Rollback Complete", 3), (data.commit_transaction, "Transaction Committed", 2)):
        work = c.ok(data.begin_transaction, {"length(transactionId)": 64}, **at)["transactionId"]
        c.ok(data.execute_statement, {"numberOfRecordsUpdated": 1}, **at, transactionId=work, sql="delete from t where id = 9")
        c.ok(end, {"transactionStatus": status}, resourceArn=arn, secretArn=secret, transactionId=work)
        c.ok(data.execute_statement, {"records": [[{"longValue": count}]]}, **at, sql="select count(*) from t")
        c.refused(data.execute_statement, "TransactionNotFoundException", 404, "is not found", **at, transactionId=work, sql="select 1")
    c.refused(data.execute_statement, "DatabaseErrorException", 400, 'relation "none" does not exist', **at, sql="select * from none")
    c.refused(data.execute_statement, "UnsupportedResultException", 400, "response size limit", **at, sql="select repeat('x', 60000) from generate_series(1, 20)")
    c.refused(data.execute_statement, "BadRequestException", 400, "Cannot find parameter: x", **at, sql="select :x")
    c.refused(data.execute_statement, "BadRequestException", 400, "Multistatements", **at, sql="select 1; select 2")
    c.refused(data.execute_statement, "SecretsErrorException", 400, "", **{**at, "secretArn": secret[:-1] + "x"}, sql="select 1")
    c.refused(data.execute_statement, "NotFoundException", 404, "is not found", **{**at, "resourceArn": arn + "x"}, sql="select 1")
    c.ok(sm.put_secret_value, {"VersionStages": ["AWSCURRENT"]}, SecretId=secret, SecretString="no json")
    c.refused(data.execute_statement, "InvalidSecretException", 400, "username and password", **at, sql="select 1")
    c.ok(sm.put_secret_value, {"Name": "data"}, SecretId=secret, SecretString=json.dumps({"username": "postgres", "password": "wrong"}))
    c.refused(data.execute_statement, "DatabaseErrorException", 400, "password authentication failed", **at, sql="select 1")
    c.refused(client("rds-data", aws_access_key_id="AKIANOBODYNOBODYNOBO", aws_secret_access_key="x").execute_statement,
              "UnrecognizedClientException", 403, **at, sql="select 1")
    c.ok(rds.modify_db_cluster, {"DBCluster.HttpEndpointEnabled": False}, DBClusterIdentifier=CLUSTER, EnableHttpEndpoint=False)
    c.refused(data.execute_statement, "HttpEndpointNotEnabledException", 400, "", **at, sql="select 1")
    c.ok(sm.delete_secret, {"Name": "data"}, SecretId=secret, ForceDeleteWithoutRecovery=True)
