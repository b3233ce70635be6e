"""What the HTTP API tells of the fleet: its CAs, its configuration, and both beside a certificate."""

import base64
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import load_pem_x509_certificate

from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import (
    ENROLL,
    each_issuer,
    each_issuer_that_signs,
    issued,
    pem,
)


def test_the_cas_are_shown_to_whoever_asks(deploy, authority, kms_authority):
    for issuer, ca in (("kms", kms_authority[0]), ("external", authority.certificate)):
        for label in ("", "/{label}"):
            reply = deploy(issuer).get(f"/.well-known/est{label}/cacerts")
            assert (reply.status, reply.headers["Content-Type"]) == (200, "application/pkcs7-mime")
            assert pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.text, validate=True)) == [ca]
    assert deploy("aws").get("/.well-known/est/cacerts").status == 404


@each_issuer
def test_the_configuration_tells_a_device_where_to_go(fleet):
    reply = fleet.get("/configuration")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == {
        "fleet": "zymkey",
        "issuer": fleet.issuer,
        "dataEndpoint": fleet.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"],
        "httpsPort": 8443,
        "mqttPort": 8883,
        "topics": {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]},
    }


@each_issuer
def test_the_configuration_tells_who_gives_aws_credentials_where_a_fleet_has_them(fleet, deploy):
    reply = deploy(fleet.issuer, role_alias="zymkey-device").get("/configuration")
    endpoint = fleet.iot.describe_endpoint(endpointType="iot:CredentialProvider")["endpointAddress"]
    assert reply.json == fleet.get("/configuration").json | {
        "credentials": {"endpoint": endpoint, "roleAlias": "zymkey-device"}
    }


@each_issuer_that_signs
@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll"])
def test_a_client_that_names_the_type_gets_the_configuration_with_its_certificate_and_others_get_est(fleet, operation):
    candidate = fleet.allow(Candidate())
    route = f"/.well-known/est/{operation}"
    both = fleet.post(
        route,
        candidate.csr,
        accept="application/vnd.zymkey-fleet.enrollment+json, application/pkcs7-mime;q=0.9",
    )
    assert (both.status, both.headers["Content-Type"]) == (200, "application/vnd.zymkey-fleet.enrollment+json")
    assert set(both.json) == {"certificate", "configuration"}
    assert both.json["configuration"] == fleet.get("/configuration").json
    for accept in (None, "*/*", "application/pkcs7-mime", "application/*, application/json"):
        certificate = issued(fleet.post(route, candidate.csr, accept=accept))
        assert both.json["certificate"].encode() == pem(certificate)
    assert_enrolled(fleet, candidate, certificate)


@pytest.mark.parametrize("kind", ["refused", "throttled", "killed"])
def test_a_certificate_whose_configuration_cannot_be_told_is_told_with_the_next_request(fleet, kind):
    candidate, accept = fleet.allow(Candidate()), "application/vnd.zymkey-fleet.enrollment+json"
    faults = Faults(operation="DescribeEndpoint", kind=kind)
    with suppress(Killed):
        assert fleet.post(ENROLL, candidate.csr, accept=accept, faults=faults).status == 503
    assert faults.fired
    both = fleet.post(ENROLL, candidate.csr, accept=accept)
    assert_enrolled(fleet, candidate, load_pem_x509_certificate(both.json["certificate"].encode()))
