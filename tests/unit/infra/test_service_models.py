"""Trimmed models: all that the functions call, and each of it as botocore's whole models have it."""

import ast
import copy
import json
import shutil
from pathlib import Path

import botocore
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from infra import bundle, service_models
from infra.service_models import SERVICES, TrimmingError

WHOLE = Path(botocore.__file__).parent / "data"
SOURCES = [path.read_text() for path in bundle.source_files()]
NAMES = service_models.names_in(SOURCES)
ENDPOINTS = json.loads((WHOLE / "endpoints.json").read_text())


def model(service):
    return Loader().load_service_model(service, "service-2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A copy of what botocore knows of the three services, trimmed. Hard links, as an installer may have made them."""
    folder = tmp_path_factory.mktemp("data")
    for path in (file for service in SERVICES for file in (WHOLE / service).rglob("*") if file.is_file()):
        copied = folder / path.relative_to(WHOLE)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    (folder / "cache.json").write_text(json.dumps(ENDPOINTS))
    (folder / "endpoints.json").hardlink_to(folder / "cache.json")
    service_models.trim(folder, NAMES)
    return folder


def client(service, data=None, **options):
    session = Session()
    if data is not None:
        loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
        whole = Loader()
        load = loader.load_data_with_path
        loader.load_data_with_path = lambda name: (  # the rest, which is not trimmed
            load(name)
            if (data / name.split("/")[0]).exists() or (data / f"{name}.json").exists()
            else whole.load_data_with_path(name)
        )
        session.register_component("data_loader", loader)
    return session.create_client(
        service, region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="nothing", **options
    )


def test_every_operation_that_a_function_calls_is_there_and_few_others():
    operations = {service: set(service_models.called(model(service), NAMES)) for service in SERVICES}
    assert operations["dynamodb"] >= {"GetItem", "Query", "TransactWriteItems"}
    assert operations["iot"] >= {"RegisterCertificate", "ListThingPrincipals", "DeletePolicyVersion"}
    assert operations["kms"] >= {"Sign", "GetPublicKey"}
    assert sum(map(len, operations.values())) < 45


@pytest.mark.parametrize(
    "source",
    ["client.scan(x)", "client.get_paginator('scan')", "call = client.scan\ncall()", "getattr(client, 'scan')()"],
)
def test_a_call_that_is_new_brings_its_operation_along(source):
    names = service_models.names_in([source])
    assert service_models.called(model("dynamodb"), names) == ["DescribeEndpoints", "Scan"]


def test_what_is_waited_for_is_refused_at_the_build(tmp_path):
    with pytest.raises(TrimmingError, match="no waiters"):
        service_models.trim(tmp_path, service_models.names_in(["client.get_waiter('table_exists')"]))


def test_a_file_that_botocore_did_not_have_before_is_for_a_person_to_look_at(tmp_path):
    latest = tmp_path / "kms/2014-11-01"
    shutil.copytree(WHOLE / "kms/2014-11-01", latest)
    (latest / "service-2.sdk-extras.json").write_text("{}")
    with pytest.raises(TrimmingError, match=r"kms: .* new: service-2\.sdk-extras\.json"):
        service_models._trim_service(tmp_path / "kms", NAMES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_client_of_the_trimmed_model_has_these_operations_alone_and_every_error(service, data):
    whole, trimmed = client(service), client(service, data)
    operations = service_models.called(model(service), NAMES)
    assert set(trimmed.meta.method_to_api_mapping) == {xform_name(each) for each in operations}
    shapes = [{each.name for each in one.meta.service_model.error_shapes} for one in (whole, trimmed)]
    assert shapes[0] == shapes[1]
    assert trimmed.meta.endpoint_url == whole.meta.endpoint_url
    for each in operations:
        assert trimmed.can_paginate(xform_name(each)) == whole.can_paginate(xform_name(each))


def test_every_exception_that_a_function_names_is_an_error_of_a_service():
    named = {
        node.attr
        for source in SOURCES
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "exceptions"
    }
    assert {"ResourceAlreadyExistsException", "ResourceNotFoundException"} <= named
    assert named <= {shape.name for each in SERVICES for shape in client(each).meta.service_model.error_shapes}


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body


def refusal(one, operation, code, members):
    """What a client makes of an error that comes as AWS sends it."""
    body = json.dumps({"__type": code, "message": "no"} | members).encode()
    headers = {"x-amzn-errortype": code, "content-type": "application/x-amz-json-1.0"}
    one.meta.events.register_first(
        "before-send", lambda request, **_: AWSResponse(request.url, 400, headers, _Raw(body))
    )
    with pytest.raises(ClientError) as raised:
        one._make_api_call(operation, REQUESTS[operation])
    return type(raised.value).__name__, {k: v for k, v in raised.value.response.items() if k != "ResponseMetadata"}


REQUESTS = {
    "RegisterCertificate": {"certificatePem": "x"},
    "DescribeThing": {"thingName": "x"},
    "TransactWriteItems": {"TransactItems": [{"Delete": {"TableName": "table", "Key": {"pk": {"S": "x"}}}}]},
    "Sign": {"KeyId": "x", "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
}
CANCELED = {"CancellationReasons": [{"Code": "ConditionalCheckFailed", "Item": {"pk": {"S": "x"}}}]}


@pytest.mark.parametrize(
    ("service", "operation", "code", "members"),
    [
        ("iot", "RegisterCertificate", "ResourceAlreadyExistsException", {"resourceId": "id", "resourceArn": "arn"}),
        ("iot", "RegisterCertificate", "CertificateConflictException", {}),
        ("iot", "RegisterCertificate", "ThrottlingException", {}),
        ("iot", "DescribeThing", "ResourceNotFoundException", {}),
        ("iot", "DescribeThing", "CertificateStateException", {}),  # which this operation does not list
        ("dynamodb", "TransactWriteItems", "TransactionCanceledException", CANCELED),
        ("dynamodb", "TransactWriteItems", "ProvisionedThroughputExceededException", {}),
        ("dynamodb", "TransactWriteItems", "com.amazon.coral.availability#ThrottlingException", {}),
        ("kms", "Sign", "KMSInvalidStateException", {}),
        ("kms", "Sign", "ThrottlingException", {}),
        ("kms", "Sign", "NobodyKnowsThisException", {}),
    ],
)
def test_an_error_is_read_as_with_the_whole_model(service, operation, code, members, data):
    config = {"config": botocore.config.Config(retries={"total_max_attempts": 1})}
    whole, trimmed = client(service, **config), client(service, data, **config)
    expected = refusal(whole, operation, code, members)
    assert refusal(trimmed, operation, code, members) == expected
    assert expected[1]["Error"]["Code"] == code.rpartition("#")[2]
    assert expected[0] in (code.rpartition("#")[2], "ClientError")
    if members:
        assert members.items() <= expected[1].items()


def changes():
    """Ways in which a trimmed model of iot could be wrong."""

    def lack_member(trimmed):
        del trimmed["shapes"]["RegisterCertificateRequest"]["members"]["status"]

    def another_error(trimmed):
        trimmed["operations"]["RegisterCertificate"]["errors"].pop()

    def another_path(trimmed):
        trimmed["operations"]["RegisterCertificate"]["http"]["requestUri"] = "/certificates"

    def optional(trimmed):
        trimmed["shapes"]["RegisterCertificateRequest"]["required"] = []

    def another_status(trimmed):
        trimmed["shapes"]["ResourceAlreadyExistsException"]["error"]["httpStatusCode"] = 400

    def lack_exception(trimmed):
        del trimmed["shapes"]["IndexNotReadyException"]

    def another_name(trimmed):
        trimmed["metadata"]["signingName"] = "execute-api"

    def deeper(trimmed):
        trimmed["shapes"]["CertificateDescription"]["members"]["status"]["shape"] = "CertificateId"

    return [lack_member, another_error, another_path, optional, another_status, lack_exception, another_name, deeper]


@pytest.mark.parametrize("change", changes(), ids=lambda each: each.__name__)
def test_a_model_that_was_trimmed_too_much_fails_the_build(change):
    operations = ["RegisterCertificate", "DescribeCertificate"]
    trimmed = copy.deepcopy(service_models.trimmed_model(model("iot"), operations))
    service_models.compare(model("iot"), trimmed, operations)
    change(trimmed)
    with pytest.raises(TrimmingError):
        service_models.compare(model("iot"), trimmed, operations)


def test_endpoints_are_the_same_in_every_partition(data):
    trimmed = json.loads((data / "endpoints.json").read_text())
    partitions = {each["partition"]: set(each["services"]) for each in trimmed["partitions"]}
    assert all(partitions[each] == set(SERVICES) for each in ("aws", "aws-cn", "aws-us-gov"))
    china = next(each for each in trimmed["partitions"] if each["partition"] == "aws-cn")
    china["dnsSuffix"] = "amazonaws.com"
    with pytest.raises(TrimmingError):
        service_models.compare_endpoints(ENDPOINTS, trimmed)


def test_an_installers_cache_is_not_written_to(data):
    assert json.loads((data / "cache.json").read_text()) == ENDPOINTS
