"""The bundle's botocore does what the whole one does, also where only another partition or a bad day leads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore
import pytest

from infra.bundle import bundle

ROOT = Path(__file__).parents[3]

# Both run this, in an interpreter that has no other packages, and have to print the same.
TRIAL = """
import datetime, http.server, json, os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from botocore import exceptions
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.session import Session

LOADER = Session().get_component("data_loader")
time.sleep = lambda seconds: None
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
CALLS = {
    "iot": lambda client: client.describe_thing(thingName="x"),
    "dynamodb": lambda client: client.get_item(TableName="table", Key={"pk": {"S": "x"}}),
    "kms": lambda client: client.get_public_key(KeyId="x"),
}


class Raw:
    def __init__(self, body):
        self.body = body

    def stream(self, **_):
        yield self.body


def client(service, region, answer, environment=KEYS, **options):
    os.environ.clear()
    os.environ.update(environment, AWS_DEFAULT_REGION=region)
    session = Session()
    session.register_component("data_loader", LOADER)  # once for all: to read the whole takes long
    made = session.create_client(service, config=Config(**options))
    made.meta.events.register_first("before-send", lambda request, **_: answer(request))
    return made


def refused(status, code):
    headers = {"x-amzn-errortype": code, "content-type": "application/x-amz-json-1.0"}
    body = json.dumps({"__type": code, "message": "no"}).encode()
    return lambda request: AWSResponse(request.url, status, headers, Raw(body))


def raised(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def endpoints():
    fips, dual = {"AWS_USE_FIPS_ENDPOINT": "true"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}
    for region, more in (
        ("us-east-1", fips | dual), ("us-gov-west-1", fips), ("cn-north-1", dual), ("us-iso-east-1", {}),
        ("eu-west-1", {"AWS_ENDPOINT_URL_IOT": "https://iot.example:8443/x", "AWS_ENDPOINT_URL": "http://example"}),
        ("eu-west-1", {"AWS_ACCOUNT_ID": "123456789012"}), ("eu-south-99", {}), ("us-gov-south-9", fips),
    ):
        for service, call in CALLS.items():
            sent = []

            def answer(request):
                scope = request.headers["Authorization"].decode().partition("Credential=")[2].partition(",")[0]
                sent.append([request.url, scope.split("/", 2)[2]])
                return AWSResponse(request.url, 200, {}, Raw(b"{}"))

            failed = raised(lambda: call(client(service, region, answer, KEYS | more)) and None)
            yield region, service, more, sent, failed


def attempts():
    lost = [
        error(endpoint_url="url")
        for error in (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, exceptions.ConnectionClosedError)
    ]
    codes = [
        (400, "ThrottlingException"), (400, "ProvisionedThroughputExceededException"), (429, "TooManyRequests"),
        (400, "TransactionInProgressException"), (409, "TransactionConflictException"), (400, "LimitExceededException"),
        (500, "InternalFailureException"), (503, "ServiceUnavailableException"), (502, "Nobody"), (404, "Nobody"),
    ]
    for mode in ("legacy", "standard"):
        for service, call in CALLS.items():
            tries = []

            def answer(request):
                tries.append(fault)
                if isinstance(fault, Exception):
                    raise fault
                return refused(*fault)(request)

            one = client(service, "eu-west-1", answer, retries={"mode": mode, "total_max_attempts": 3})
            for fault in [*codes, *lost]:
                failed = raised(call, one)
                yield mode, service, str(fault), tries.count(fault), failed


def container():
    # Lambda gives credentials this way where it has to renew them: SnapStart.
    given = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            left = 5000 if given else 60
            given.append(self.headers["Authorization"])
            end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=left)
            key = {"AccessKeyId": f"key{len(given)}", "SecretAccessKey": "s", "Token": "t"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(key | {"Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    used = []

    def answer(request):
        used.append(request.headers["Authorization"].decode().partition("Credential=")[2].partition("/")[0])
        return AWSResponse(request.url, 200, {}, Raw(b"{}"))

    url = f"http://127.0.0.1:{server.server_port}/credentials"
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"}
    one = client("iot", "eu-west-1", answer, environment)
    for _ in range(2):
        CALLS["iot"](one)
    return given, used


print(json.dumps({"endpoints": list(endpoints()), "attempts": list(attempts()), "container": container()}))
"""


def trial(packages: Path) -> Any:
    command = [sys._base_executable, "-I", "-S", "-B", "-c", TRIAL, packages]  # type: ignore[attr-defined]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def bundled() -> Any:
    return trial(bundle(bundle_for="host", architecture="arm64").directory)


@pytest.fixture(scope="module")
def whole() -> Any:
    assert f"botocore=={botocore.__version__} " in (ROOT / "requirements/functions.txt").read_text()
    return trial(Path(botocore.__file__).parents[1])


def test_endpoints_are_those_of_the_region_and_of_the_environment(bundled: Any, whole: Any) -> None:
    assert bundled["endpoints"] == whole["endpoints"]
    urls = [url for *_, sent, _ in bundled["endpoints"] for url, _ in sent]
    for part in (
        *(
            "//iot-fips.us-gov-west-1.amazonaws.com/",
            "//iot.cn-north-1.api.amazonwebservices.com.cn/",
            "//iot.example:8443/x/",
        ),
        *("//kms-fips.us-east-1.api.aws/", "//123456789012.ddb.eu-west-1.amazonaws.com/", "//kms.eu-south-99."),
    ):
        assert any(part in url for url in urls), (part, urls)


def test_what_is_tried_again_and_how_often(bundled: Any, whole: Any) -> None:
    assert bundled["attempts"] == whole["attempts"]
    tries = {(mode, service, fault): number for mode, service, fault, number, _ in bundled["attempts"]}
    assert tries["standard", "dynamodb", "(400, 'TransactionInProgressException')"] == 3
    assert tries["standard", "iot", "(400, 'ThrottlingException')"] == 3
    assert tries["standard", "iot", "(404, 'Nobody')"] == 1


def test_credentials_that_expire_are_fetched_again(bundled: Any, whole: Any) -> None:
    assert bundled["container"] == whole["container"] == [["token", "token"], ["key2", "key2"]]
