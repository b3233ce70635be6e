"""microburst between the deployed function and AWS: calls fail before they take effect, or lose their reply.

The function's own role still decides what it may do: the proxy has to sign each request anew (the signature
covers the address it was sent to) and does so with credentials of that role.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.ports import free_ports

HANDLER = "functions.handlers.http_api.handler"
READY_SECONDS = 20.0


class FaultProxy:
    """Rules as in microburst's README, by `service` and `operation`.

    `{"error": {"code": "ThrottlingException"}}` fails a call before it takes effect, `{"response":
    {"abort_frac": 0}}` lets it take effect and loses the reply. `"times": 1` does it once; without it, the fault
    outlasts the SDK's own retries.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    @contextmanager
    def in_front_of_enrollment(
        cls, boto: Any, outputs: Mapping[str, str], env: Mapping[str, str]
    ) -> Iterator["FaultProxy"]:
        """Lead the deployed function's AWS calls through a proxy, and back when this ends."""
        functions = boto("lambda")
        function = http_api_function(boto("cloudformation"), functions, f"{outputs['Fleet']}-Enrollment")
        role = boto("sts").assume_role(RoleArn=function["Role"], RoleSessionName="fault-proxy")["Credentials"]
        with _running_proxy(env, role) as proxy:
            variables = function["Environment"]["Variables"]
            configure(functions, function, {**variables, "AWS_ENDPOINT_URL": proxy.address})
            try:
                yield proxy
            finally:
                configure(functions, function, variables)

    @contextmanager
    def breaking(self, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Apply `rules` and nothing else; at the end insist that each of them really fired."""
        self._call("DELETE", "fired")
        identifiers = {rule["id"] for rule in self._call("POST", "rules", list(rules))}
        try:
            yield
            fired = {event["rule_id"] for event in self.fired()}
            assert fired == identifiers, f"these faults never happened: {identifiers - fired}"
        finally:
            self._call("POST", "rules", [])

    def fired(self) -> list[dict[str, Any]]:
        """What happened under the current rules: service, operation and action of each fault, oldest first."""
        events: list[dict[str, Any]] = self._call("GET", "fired")
        return events

    def requests_seen(self) -> int:
        """How many AWS calls have come through."""
        seen: int = self._call("GET", "health")["requests_seen"]
        return seen

    def _call(self, method: str, what: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.address}/_microburst/{what}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            content = reply.read()
            return json.loads(content) if content else None


@contextmanager
def _running_proxy(env: Mapping[str, str], role: Mapping[str, str]) -> Iterator[FaultProxy]:
    port = free_ports(1)[0]
    microburst = Path(sys.executable).parent / "microburst"
    process = subprocess.Popen(
        [microburst, "--resign", "--upstream", env["AWS_ENDPOINT_URL"], "--port", str(port)],
        env={
            "PATH": os.environ["PATH"],
            "SSL_CERT_FILE": env["AWS_CA_BUNDLE"],
            "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
            "AWS_SESSION_TOKEN": role["SessionToken"],
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy = FaultProxy(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(proxy):
            assert process.poll() is None, "microburst ended at once"
            assert time.monotonic() < deadline, "microburst does not answer"
            time.sleep(0.1)
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(proxy: FaultProxy) -> bool:
    try:
        proxy.requests_seen()
    except OSError:
        return False
    return True


def http_api_function(cloudformation: Any, functions: Any, stack: str) -> dict[str, Any]:
    for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            function: dict[str, Any] = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            if function["Handler"] == HANDLER:
                return function
    raise AssertionError(f"stack {stack} has no function with the handler {HANDLER}")


def configure(functions: Any, function: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    functions.update_function_configuration(
        FunctionName=function["FunctionName"], Environment={"Variables": dict(variables)}
    )
