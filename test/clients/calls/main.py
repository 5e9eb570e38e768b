"""Calls every service of a region with boto3 and the AWS CLI, and exits with 1 if
an answer is not as expected, or with 2 if a wrong answer would not be noticed.

AWS_ENDPOINT_URL, AWS_REGION and the credentials say where the region is. It must
be new: what is listed is expected to be what was made here.
"""

import contextlib
import io
import sys
import time

import command_line
import companions
import data_api
import databases
import network
from calls import Calls, client

# What the issue of these calls asks for.
ENOUGH = 120


def blind():
    """Says which wrong answers pass as right ones; none should."""
    c, sts = Calls(), client("sts")
    passes = []
    with contextlib.redirect_stderr(io.StringIO()):
        for what, call in {
            "another value": lambda: c.ok(sts.get_caller_identity, {"Account": "x"}),
            "an error": lambda: c.ok(client("rds").describe_db_clusters, {"DBClusters": []}, DBClusterIdentifier="none"),
            "no error": lambda: c.refused(sts.get_caller_identity, "AccessDenied"),
            "another error": lambda: c.refused(client("rds").describe_db_clusters, "AccessDenied", DBClusterIdentifier="none"),
            "an end that does not come": lambda: c.wait(client("rds"), "db_cluster_available", 1, DBClusterIdentifier="none"),
            "a command's error": lambda: c.cli("rds", "describe-db-clusters", "--db-cluster-identifier", "none", expect={"DBClusters": []}),
        }.items():
            before = len(c.failures)
            call()
            if len(c.failures) == before:
                passes.append(what)
    return passes


def main():
    if passes := blind():
        print("would not be noticed:", ", ".join(passes), file=sys.stderr)
        return 2
    c = Calls()

    def section(f, *arguments):
        start, count = time.monotonic(), c.count
        try:
            return f(c, *arguments)
        except Exception as e:  # the next section may still say something
            c.fail(f"{f.__name__} ended: {type(e).__name__}: {e}")
        finally:
            print(f"{f.__name__}: {c.count - count} calls, {time.monotonic() - start:.1f} s", flush=True)

    for f in (companions.sts_and_iam, companions.kms, companions.secrets, companions.sns, companions.logs, network.network, databases.around):
        section(f)
    arn = section(databases.cluster)
    section(data_api.data_api, arn)
    section(databases.changes, arn)
    section(databases.life)
    section(command_line.command_line)
    if c.count < ENOUGH:
        c.fail(f"{c.count} calls are fewer than {ENOUGH}")
    print(f"{c.count} calls, {len(c.failures)} not as expected")
    return 1 if c.failures else 0


if __name__ == "__main__":
    sys.exit(main())
