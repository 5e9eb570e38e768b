"""STS, IAM, KMS, Secrets Manager, SNS and CloudWatch Logs."""

import http.server
import json
import queue
import threading
import time
import urllib.request

from calls import NOTHING, Text, client

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"},
    "Condition": {"StringEquals": {"sts:ExternalId": "of-a-partner"}}}]})
READS = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "rds:Describe*", "Resource": "*"}]})


def sts_and_iam(c):
    sts, iam = client("sts"), client("iam")
    account = c.ok(sts.get_caller_identity, {"length(Account)": 12, "Arn": Text("arn:aws:iam::")})["Account"]
    trust = TRUST.replace("111122223333", account)
    c.refused(iam.get_role, "NoSuchEntity", 404, "cannot be found", RoleName="partner")
    role = c.ok(iam.create_role, {"Role.RoleName": "partner", "Role.AssumeRolePolicyDocument.Statement[0].Effect": "Allow"},
                RoleName="partner", AssumeRolePolicyDocument=trust, Tags=[{"Key": "of", "Value": "test"}])["Role"]
    c.wait(iam, "role_exists", RoleName="partner")
    c.refused(iam.create_role, "EntityAlreadyExists", 409, "already exists", RoleName="partner", AssumeRolePolicyDocument=trust)
    c.refused(iam.create_role, "MalformedPolicyDocument", 400, "", RoleName="other", AssumeRolePolicyDocument="{")
    c.ok(iam.list_role_tags, {"Tags": [{"Key": "of", "Value": "test"}]}, RoleName="partner")
    c.ok(iam.put_role_policy, NOTHING, RoleName="partner", PolicyName="reads", PolicyDocument=READS)
    c.ok(iam.list_role_policies, {"PolicyNames": ["reads"], "IsTruncated": False}, RoleName="partner")
    c.ok(iam.get_role_policy, {"PolicyDocument.Statement[0].Action": "rds:Describe*"}, RoleName="partner", PolicyName="reads")

    c.refused(sts.assume_role, "AccessDenied", 403, "not authorized to perform: sts:AssumeRole", RoleArn=role["Arn"], RoleSessionName="me")
    assumed = c.ok(sts.assume_role, {"AssumedRoleUser.Arn": Text("assumed-role/partner/me")},
                   RoleArn=role["Arn"], RoleSessionName="me", ExternalId="of-a-partner")["Credentials"]
    session = {"aws_access_key_id": assumed["AccessKeyId"], "aws_secret_access_key": assumed["SecretAccessKey"],
               "aws_session_token": assumed["SessionToken"]}
    c.ok(client("sts", **session).get_caller_identity, {"Arn": Text("assumed-role/partner/me")})
    c.ok(client("rds", **session).describe_db_clusters, {"DBClusters": []})
    c.refused(client("rds", **session).create_db_subnet_group, "AccessDenied", 403, "rds:CreateDBSubnetGroup",
              DBSubnetGroupName="x", DBSubnetGroupDescription="x", SubnetIds=["subnet-1"])
    c.ok(sts.get_session_token, {"length(Credentials.AccessKeyId)": 20})
    c.refused(client("sts", aws_access_key_id="AKIANOBODYNOBODYNOBO", aws_secret_access_key="x").get_caller_identity,
              "InvalidClientTokenId", 403)

    c.ok(iam.create_user, {"User.UserName": "ann", "User.Path": "/"}, UserName="ann")
    c.wait(iam, "user_exists", UserName="ann")
    key = c.ok(iam.create_access_key, {"AccessKey.Status": "Active"}, UserName="ann")["AccessKey"]
    ann = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    c.refused(client("rds", **ann).describe_db_clusters, "AccessDenied", 403, "rds:DescribeDBClusters")
    policy = c.ok(iam.create_policy, {"Policy.AttachmentCount": 0}, PolicyName="reads", PolicyDocument=READS)["Policy"]["Arn"]
    c.wait(iam, "policy_exists", PolicyArn=policy)
    c.ok(iam.attach_user_policy, NOTHING, UserName="ann", PolicyArn=policy)
    c.ok(client("rds", **ann).describe_db_clusters, {"DBClusters": []})
    c.ok(iam.list_attached_user_policies, {"AttachedPolicies[].PolicyName": ["reads"]}, UserName="ann")
    c.refused(iam.delete_policy, "DeleteConflict", 409, "", PolicyArn=policy)
    c.ok(iam.update_access_key, NOTHING, UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    c.refused(client("rds", **ann).describe_db_clusters, "InvalidClientTokenId", 403)
    c.ok(iam.detach_user_policy, NOTHING, UserName="ann", PolicyArn=policy)
    c.ok(iam.delete_policy, NOTHING, PolicyArn=policy)
    c.refused(iam.delete_user, "DeleteConflict", 409, "must delete access keys first", UserName="ann")
    c.ok(iam.delete_access_key, NOTHING, UserName="ann", AccessKeyId=key["AccessKeyId"])
    c.ok(iam.delete_user, NOTHING, UserName="ann")
    c.refused(iam.delete_role, "DeleteConflict", 409, "must delete policies first", RoleName="partner")
    c.ok(iam.delete_role_policy, NOTHING, RoleName="partner", PolicyName="reads")
    c.ok(iam.delete_role, NOTHING, RoleName="partner")


def kms(c):
    kms = client("kms")
    made = c.ok(kms.create_key, {"KeyMetadata.KeyState": "Enabled", "KeyMetadata.KeyUsage": "ENCRYPT_DECRYPT",
                                 "KeyMetadata.Description": "of a test"}, Description="of a test")
    key = made["KeyMetadata"]["KeyId"]
    c.ok(kms.create_alias, NOTHING, AliasName="alias/test", TargetKeyId=key)
    c.refused(kms.create_alias, "AlreadyExistsException", 400, "already exists", AliasName="alias/test", TargetKeyId=key)
    c.ok(kms.list_aliases, {"Aliases[].AliasName": ["alias/test"]}, KeyId=key)
    c.ok(kms.describe_key, {"KeyMetadata.KeyId": key}, KeyId="alias/test")
    c.refused(kms.describe_key, "NotFoundException", 400, "is not found", KeyId="alias/none")
    sealed = c.ok(kms.encrypt, {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": Text(key)},
                  KeyId="alias/test", Plaintext=b"\x00text", EncryptionContext={"a": "b"})["CiphertextBlob"]
    c.ok(kms.decrypt, {"Plaintext": b"\x00text"}, CiphertextBlob=sealed, EncryptionContext={"a": "b"})
    c.refused(kms.decrypt, "InvalidCiphertextException", 400, "", CiphertextBlob=sealed)
    c.ok(kms.generate_data_key, {"KeyId": Text(key)}, KeyId=key, KeySpec="AES_256")
    c.ok(kms.enable_key_rotation, NOTHING, KeyId=key)
    c.ok(kms.get_key_rotation_status, {"KeyRotationEnabled": True}, KeyId=key)
    c.ok(kms.disable_key, NOTHING, KeyId=key)
    c.refused(kms.encrypt, "DisabledException", 400, "is disabled", KeyId=key, Plaintext=b"x")
    c.ok(kms.schedule_key_deletion, {"KeyState": "PendingDeletion", "PendingWindowInDays": 7}, KeyId=key, PendingWindowInDays=7)
    c.refused(kms.enable_key, "KMSInvalidStateException", 400, "is pending deletion", KeyId=key)


def secrets(c):
    sm = client("secretsmanager")
    arn = c.ok(sm.create_secret, {"Name": "app/db", "ARN": Text(":secret:app/db-")}, Name="app/db", SecretString="one")["ARN"]
    c.refused(sm.create_secret, "ResourceExistsException", 400, "already exists", Name="app/db", SecretString="x")
    c.ok(sm.get_secret_value, {"SecretString": "one", "VersionStages": ["AWSCURRENT"]}, SecretId=arn)
    c.ok(sm.put_secret_value, {"VersionStages": ["AWSCURRENT"]}, SecretId="app/db", SecretString="two")
    c.ok(sm.get_secret_value, {"SecretString": "one"}, SecretId="app/db", VersionStage="AWSPREVIOUS")
    c.ok(sm.describe_secret, {"Name": "app/db", "length(keys(VersionIdsToStages))": 2}, SecretId="app/db")
    c.ok(sm.tag_resource, NOTHING, SecretId="app/db", Tags=[{"Key": "a", "Value": "b"}])
    c.pages(sm, "list_secrets", "SecretList[].Name", ["app/db"], Filters=[{"Key": "tag-key", "Values": ["a"]}])
    c.ok(sm.get_random_password, {"length(RandomPassword)": 40}, PasswordLength=40)
    c.ok(sm.delete_secret, {"Name": "app/db"}, SecretId="app/db", RecoveryWindowInDays=7)
    c.refused(sm.get_secret_value, "InvalidRequestException", 400, "marked for deletion", SecretId="app/db")
    c.ok(sm.restore_secret, {"Name": "app/db"}, SecretId="app/db")
    c.ok(sm.delete_secret, {"Name": "app/db"}, SecretId="app/db", ForceDeleteWithoutRecovery=True)
    c.refused(sm.get_secret_value, "ResourceNotFoundException", 400, "can't find the specified secret", SecretId="app/db")


class Inbox:
    """A web server that keeps what SNS sends to it."""

    def __init__(self):
        messages = self.messages = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                messages.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def sns(c):
    sns, inbox = client("sns"), Inbox()
    topic = c.ok(sns.create_topic, {"TopicArn": Text(":events")}, Name="events")["TopicArn"]
    c.ok(sns.create_topic, {"TopicArn": topic}, Name="events")
    c.refused(sns.subscribe, "InvalidParameter", 400, "", TopicArn=topic, Protocol="carrier-pigeon", Endpoint="x")
    c.ok(sns.subscribe, {"SubscriptionArn": "pending confirmation"}, TopicArn=topic, Protocol="http", Endpoint=inbox.url)
    asked = inbox.messages.get(timeout=30)
    if asked["Type"] != "SubscriptionConfirmation":
        c.fail(f"asked for {asked}")
    urllib.request.urlopen(asked["SubscribeURL"], timeout=10).read()
    c.ok(sns.list_subscriptions_by_topic, {"Subscriptions[].Protocol": ["http"]}, TopicArn=topic)
    c.ok(sns.publish, {"length(MessageId)": 36}, TopicArn=topic, Message="hello", Subject="a test")
    got = inbox.messages.get(timeout=30)
    if (got["Type"], got["Message"], got["Subject"]) != ("Notification", "hello", "a test"):
        c.fail(f"notified with {got}")
    c.ok(sns.get_topic_attributes, {"Attributes.SubscriptionsConfirmed": "1"}, TopicArn=topic)
    c.refused(sns.publish, "NotFound", 404, "Topic does not exist", TopicArn=topic + "-none", Message="x")
    c.ok(sns.delete_topic, NOTHING, TopicArn=topic)
    c.pages(sns, "list_topics", "Topics", [])


def logs(c):
    logs, now = client("logs"), int(time.time() * 1000)
    c.ok(logs.create_log_group, NOTHING, logGroupName="/test/app")
    c.refused(logs.create_log_group, "ResourceAlreadyExistsException", 400, "already exists", logGroupName="/test/app")
    c.ok(logs.put_retention_policy, NOTHING, logGroupName="/test/app", retentionInDays=7)
    c.refused(logs.put_retention_policy, "InvalidParameterException", 400, "", logGroupName="/test/app", retentionInDays=8)
    c.ok(logs.describe_log_groups, {"logGroups[].[logGroupName,retentionInDays]": [["/test/app", 7]]}, logGroupNamePrefix="/test")
    c.ok(logs.create_log_stream, NOTHING, logGroupName="/test/app", logStreamName="one")
    c.ok(logs.put_log_events, {"nextSequenceToken != null": True}, logGroupName="/test/app", logStreamName="one",
         logEvents=[{"timestamp": now, "message": "first ERROR"}, {"timestamp": now + 1, "message": "second"}])
    c.ok(logs.get_log_events, {"events[].message": ["first ERROR", "second"]}, logGroupName="/test/app", logStreamName="one", startFromHead=True)
    c.pages(logs, "filter_log_events", "events[].message", ["first ERROR"], logGroupName="/test/app", filterPattern="ERROR")
    c.refused(logs.get_log_events, "ResourceNotFoundException", 400, "specified log stream does not exist",
              logGroupName="/test/app", logStreamName="none")
    c.ok(logs.delete_log_group, NOTHING, logGroupName="/test/app")
    c.pages(logs, "describe_log_groups", "logGroups", [], logGroupNamePrefix="/test")
