"""``zymkey-fleet ca retire``: stop AWS IoT from registering certificates of a CA.

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
from pki.names import common_names

_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="a CA's name in cdk.json; of a CA elsewhere, its certificate's common name"
    )
    parser.add_argument(
        "--force", action="store_true", help="its key is lost or stolen: retire it although it issues or is in use"
    )
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
After a rotation: it is refused for the newest CA, which issues, and while a device holds a certificate of the CA that
has not expired. Devices renew by themselves at two thirds of their certificate's life. Afterwards take the CA out of
cdk.json and deploy; a key in KMS is retained, and costs money until you schedule its deletion.

After a theft (--force): no further certificate of the CA is registered. Those that are registered go on working, so
`audit` and `list` are next, and `block` for each device that is not yours.
JSON: name, certificateIds, retired."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    authorities = _authorities(deployment)
    of_this_name = [certificate for name, certificate in authorities if name == options.name]
    if not of_this_name:
        names = ", ".join(sorted({name for name, _ in authorities})) or "none"
        raise Refused(f"There is no CA {options.name!r}; there are: {names}.")
    if not options.force:
        newest = max((certificate for _, certificate in authorities), key=lambda each: each.not_valid_before_utc)
        of_this_name = [each for each in of_this_name if each != newest]
        _refuse_to_retire_the_needed(options.name, of_this_name, deployment.ledger)
    retired = [certificate_id(each) for each in of_this_name]
    for identifier in retired:
        _deactivate(identifier, deployment)
    if options.json:
        print_json({"name": options.name, "certificateIds": retired, "retired": True})
    else:
        print(f"The CA {options.name!r} is retired: AWS IoT registers no more of its certificates.")
    return 0


def _authorities(deployment: Deployment) -> list[tuple[str, x509.Certificate]]:
    """All CAs by name. A name can stand for several: when the issuer was switched away from KMS and back."""
    in_kms = [
        (each.name, x509.load_pem_x509_certificate(each.certificate_pem.encode()))
        for each in deployment.ledger.certificate_authorities()
    ]
    elsewhere = deployment.api.ca_certificates() if deployment.outputs.issuer == "external" else []
    return in_kms + [(_common_name(each), each) for each in elsewhere]


def _common_name(certificate: x509.Certificate) -> str:
    names = common_names(certificate.subject)
    return names[0] if names else certificate.subject.rfc4514_string()


def _refuse_to_retire_the_needed(name: str, older: list[x509.Certificate], ledger: Ledger) -> None:
    if not older:
        raise Refused(f"The CA {name!r} is the newest, which issues. Add another to cdk.json and deploy it first.")
    holders = [holder for each in older for holder in _holders(certificate_id(each), int(time.time()), ledger)]
    if holders:
        more = f" and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else ""
        raise Refused(f"Certificates of the CA {name!r} are still held by {', '.join(holders[:_SHOWN])}{more}.")


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
