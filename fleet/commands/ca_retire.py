"""``zymkey-fleet ca retire``: after a rotation, stop AWS IoT from registering certificates of the older CA.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``, iot:UpdateCACertificate.
"""

import argparse
import time
from collections.abc import Iterator

from botocore.exceptions import ClientError
from cryptography import x509

from fleet.arguments import deployment_options, json_option
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Refused
from fleet.output import print_json
from ledger import Ledger, State
from pki.fingerprint import certificate_id

_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="its name in cdk.json, certificateAuthorities")
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
For CAs in AWS KMS. It is refused for the CA that issues, and while a device holds a certificate of the CA that has
not expired: devices renew by themselves at two thirds of their certificate's life. Afterwards take the CA out of
cdk.json and deploy; its key in KMS is retained, and costs money until you schedule its deletion.
JSON: name, certificateIds, retired."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    retired = _older_authorities(options.name, deployment.ledger)
    now = int(time.time())
    for identifier in retired:
        holders = list(_holders(identifier, now, deployment.ledger))
        if holders:
            more = f" and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else ""
            raise Refused(
                f"Certificates of the CA {options.name!r} are still held by {', '.join(holders[:_SHOWN])}{more}."
            )
    for identifier in retired:
        _deactivate(identifier, deployment)
    if options.json:
        print_json({"name": options.name, "certificateIds": retired, "retired": True})
    else:
        print(f"The CA {options.name!r} is retired: AWS IoT registers no more of its certificates.")
    return 0


def _older_authorities(name: str, ledger: Ledger) -> list[str]:
    """The ids of the CAs of this name: there are several when the issuer was switched away from KMS and back."""
    certificates = [
        (each.name, x509.load_pem_x509_certificate(each.certificate_pem.encode()))
        for each in ledger.certificate_authorities()
    ]
    if name not in {each for each, _ in certificates}:
        raise Refused(f"There is no CA {name!r}; there are {', '.join(sorted({each for each, _ in certificates}))}.")
    newest = max((certificate for _, certificate in certificates), key=lambda each: each.not_valid_before_utc)
    older = [
        certificate_id(certificate) for each, certificate in certificates if each == name and certificate != newest
    ]
    if not older:
        raise Refused(f"The CA {name!r} is the newest, which issues. Add another to cdk.json and deploy it first.")
    return older


def _holders(authority: str, now: int, ledger: Ledger) -> Iterator[str]:
    """The devices that have a certificate of the CA in use, or one that is being registered."""
    for device in ledger.devices():
        current = device.issued_by == authority and (device.not_after or 0) > now and device.state is not State.BLOCKED
        if current or device.superseded_issued_by == authority:
            yield device.name
        elif device.unfinished is not None:
            unfinished = ledger.certificate(device.name, device.unfinished)
            if unfinished is not None and unfinished.issued_by == authority:
                yield device.name


def _deactivate(identifier: str, deployment: Deployment) -> None:
    try:
        deployment.iot.update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise FleetError(f"AWS IoT has no CA certificate {identifier}.") from None
        raise
