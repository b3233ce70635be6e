"""``zymkey-fleet ca retire``: stop AWS IoT from registering certificates of a CA.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``, iot:UpdateCACertificate.
"""

import argparse
import time
from collections.abc import Iterator

from cryptography import x509

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused
from fleet.output import print_json, print_line
from ledger import Ledger, State
from pki.fingerprint import certificate_id
from pki.issuers import EXTERNAL
from pki.names import common_names
from pki.received_certificate import subject_of

_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="a CA's name in cdk.json; for an external CA, its certificate's common name"
    )
    parser.add_argument(
        "--force", action="store_true", help="retire the CA although it issues or is in use: its key is lost or stolen"
    )
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
After a rotation: the command refuses to retire the newest CA, which issues, and a CA while devices hold unexpired
certificates of it. Devices renew by themselves at two thirds of their certificate's life. Afterwards remove the CA from
cdk.json and deploy; its key in KMS is retained, and costs money until you schedule its deletion.

After a theft (--force): AWS IoT registers no further certificate of the CA. Certificates that are registered already
go on working: look at `audit` and `list` next, and `block` each device that is not yours.
JSON: name, certificateIds, retired."""
    add_examples(parser, "zymkey-fleet ca retire 2026", "zymkey-fleet ca retire 'Acme device CA' --force")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    authorities = _authorities(deployment)
    of_this_name = [certificate for name, certificate in authorities if name == arguments.name]
    if not of_this_name:
        names = ", ".join(sorted({name for name, _ in authorities})) or "none"
        raise Refused(f"There is no CA {arguments.name!r}; there are: {names}.", cure="give one of these names")
    if not arguments.force:
        newest = max((certificate for _, certificate in authorities), key=lambda each: each.not_valid_before_utc)
        of_this_name = [each for each in of_this_name if each != newest]
        _refuse_to_retire_the_needed(arguments.name, of_this_name, deployment.ledger)
    retired = [certificate_id(each) for each in of_this_name]
    for identifier in retired:
        _deactivate(identifier, deployment)
    if arguments.json:
        print_json({"name": arguments.name, "certificateIds": retired, "retired": True})
    else:
        print_line(f"The CA {arguments.name!r} is retired: AWS IoT registers no more of its certificates.")
    return 0


def _authorities(deployment: Deployment) -> list[tuple[str, x509.Certificate]]:
    """All CAs by name. Several CAs have one name when the issuer was switched away from KMS and back."""
    in_kms = [
        (each.name, x509.load_pem_x509_certificate(each.certificate_pem.encode()))
        for each in deployment.ledger.certificate_authorities()
    ]
    external = deployment.api.ca_certificates() if deployment.outputs.issuer == EXTERNAL else []
    return in_kms + [(_common_name(each), each) for each in external]


def _common_name(certificate: x509.Certificate) -> str:
    names = common_names(certificate.subject)
    return names[0] if names else subject_of(certificate)


def _refuse_to_retire_the_needed(name: str, older: list[x509.Certificate], ledger: Ledger) -> None:
    if not older:
        raise Refused(
            f"The CA {name!r} is the newest, which issues.",
            cure="add another CA to cdk.json and deploy first; if the key is stolen, add --force",
        )
    holders = [holder for each in older for holder in _holders(certificate_id(each), int(time.time()), ledger)]
    if holders:
        more = f" and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else ""
        raise Refused(
            f"Certificates of the CA {name!r} are still held by {', '.join(holders[:_SHOWN])}{more}.",
            cure="wait until these devices have renewed; if the key is stolen, add --force",
        )


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
    except deployment.iot.exceptions.ResourceNotFoundException:
        raise Refused(
            f"AWS IoT has no CA certificate {identifier}.",
            cure="check --region and --profile; somebody may have deleted the CA in AWS IoT",
        ) from None
