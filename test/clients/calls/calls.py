"""Calls of AWS clients that say what they expect.

Every call has an expectation: values of its answer, or the error that refuses
it. What differs is printed and counted, and ends the run with an error.
"""

import json
import os
import subprocess
import sys
import time
import traceback

import boto3
import jmespath
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]

# An answer that has nothing in it.
NOTHING = {"keys(@)": ["ResponseMetadata"]}


def client(service, **credentials):
    """A client that does not hide an error by trying again."""
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=True), **credentials)


class Text:
    """An expectation: the value is a text that has a part."""

    def __init__(self, part):
        self.part = part

    def __eq__(self, other):
        return isinstance(other, str) and self.part in other

    def __repr__(self):
        return f"a text with {self.part!r}"


class Calls:
    """Counts calls, and what was not as expected."""

    def __init__(self):
        self.count = 0
        self.failures = []

    def ok(self, method, expect, **parameters):
        """A call that must work, with JMESPath expressions and their values."""
        self.count += 1
        try:
            answer = method(**parameters)
        except ClientError as e:
            self.fail(f"{method.__name__}: {e}")
            return {}
        self.check(method.__name__, answer, expect)
        return answer

    def refused(self, method, code, status=400, message="", **parameters):
        """A call that must be refused with a code, a status and a part of the message."""
        self.count += 1
        try:
            answer = method(**parameters)
        except ClientError as e:
            got = (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
            text = e.response["Error"].get("Message", "")
            if got != (code, status) or message not in text:
                self.fail(f"{method.__name__}: {got} {text!r}; want {(code, status)} {message!r}")
            if not e.response["ResponseMetadata"].get("RequestId"):
                self.fail(f"{method.__name__}: the error has no request id")
            return
        self.fail(f"{method.__name__}: no {code}, but {answer}")

    def wait(self, client, waiter, seconds=90, **parameters):
        """A waiter of the SDK that must come to its end."""
        self.count += 1
        try:
            client.get_waiter(waiter).wait(WaiterConfig={"Delay": 1, "MaxAttempts": seconds}, **parameters)
        except WaiterError as e:
            self.fail(f"waiter {waiter}: {e}")

    def until(self, method, expression, want, seconds=90, **parameters):
        """A call that is repeated until its answer has a value, where the SDK has no waiter."""
        self.count += 1
        deadline = time.monotonic() + seconds
        while (got := jmespath.search(expression, method(**parameters))) != want:
            if time.monotonic() > deadline:
                self.fail(f"{method.__name__}: {expression} is still {got!r} after {seconds} s, want {want!r}")
                return
            time.sleep(0.5)

    def pages(self, client, operation, expression, want, **parameters):
        """A paginator of the SDK, with what is in all its pages."""
        self.count += 1
        try:
            pages = client.get_paginator(operation).paginate(**parameters)
            got = [item for page in pages for item in jmespath.search(expression, page)]
        except ClientError as e:
            self.fail(f"paginator {operation}: {e}")
            return
        if got != want:
            self.fail(f"paginator {operation}: {expression} is {got!r}, want {want!r}")

    def cli(self, *arguments, expect=None, refused=None, seconds=60):
        """A command of the AWS CLI, with its JSON or the code of its error."""
        self.count += 1
        done = subprocess.run(
            ["aws", "--endpoint-url", ENDPOINT, "--region", REGION, "--output", "json", *arguments],
            capture_output=True, text=True, timeout=seconds, check=False)
        name = "aws " + " ".join(arguments[:2])
        if refused is not None:
            if done.returncode == 0 or f"({refused})" not in done.stderr:
                self.fail(f"{name}: exit {done.returncode}, {done.stderr.strip()!r}; want {refused}")
            return {}
        if done.returncode != 0:
            self.fail(f"{name}: {done.stderr.strip()}")
            return {}
        answer = json.loads(done.stdout or "{}")
        self.check(name, answer, expect)
        return answer

    def check(self, name, answer, expect):
        if not expect:
            raise ValueError(f"{name}: a call that expects nothing")
        for expression, want in expect.items():
            got = jmespath.search(expression, answer)
            if not want == got:
                self.fail(f"{name}: {expression} is {got!r}, want {want!r}")

    def fail(self, text):
        caller = next(f for f in reversed(traceback.extract_stack()) if not f.filename.endswith("calls.py"))
        self.failures.append(text)
        print(f"{os.path.basename(caller.filename)}:{caller.lineno}: {text}", file=sys.stderr, flush=True)
