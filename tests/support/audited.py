"""A deployment that is alone with its policy, its mark and its CA's record, for tests of the daily audit."""

import json
import time
import uuid

from cryptography.hazmat.primitives.serialization import Encoding

from audit.policy import digest_of
from functions import audit_run
from ledger import CertificateAuthority
from pki.fingerprint import certificate_id
from tests.support.role import AUDIT

GRACE_DAYS, KEPT_DAYS = 7, 30
DOCUMENT = '{"Version": "2012-10-17", "Statement": []}'


def deploy_alone(deploy, aws, issuer="kms", **settings):
    """An audit sees what every test has left in the account: here nothing else has the policy or the mark."""
    name = f"audit-{uuid.uuid4().hex[:12]}"
    aws("iot").create_policy(policyName=name, policyDocument=DOCUMENT)
    fleet = deploy(issuer, fleet=name, iot_policy=name, **settings)
    for ca in fleet.choices.ca_certificates if issuer == "kms" else ():
        pem = ca.public_bytes(Encoding.PEM).decode()
        fleet.ledger.keep_certificate_authority(
            CertificateAuthority(
                name="1",
                key_arn=fleet.choices.ca_key_arn,
                subject="CN=fleet CA",
                certificate_pem=pem,
                verification_pem=pem,
                validity_years=20,
            )
        )
    return fleet


def declared(fleet, **members):
    """What the template would declare of it, as JSON."""
    ids = [certificate_id(each) for each in fleet.choices.ca_certificates]
    of_ca = {"key": fleet.choices.ca_key_arn} if fleet.choices.ca_key_arn else {"id": next(iter(ids), "")}
    authority = {**of_ca, "status": "ACTIVE", "autoRegistration": "DISABLE"}
    document = {"policy": digest_of(DOCUMENT, prefix="arn:"), "authorities": [authority] if ids else []}
    return json.dumps(document | members)


def audited(fleet, later=0, faults=None, **options):
    """Audit, so many seconds from now."""
    return audit_run.audit(
        grace_days=GRACE_DAYS,
        delete_after_days=KEPT_DAYS,
        now=int(time.time()) + later,
        deployment=fleet.deployment(faults, handler=AUDIT),
        **options,
    )


def findings(fleet):
    """Kind, device and detail of what the last run has found."""
    record = fleet.ledger.last_audit()
    return [(each["kind"], each["device"], each["detail"]) for each in fleet.ledger.audit_findings(record)]
