"""``zymkey-fleet ca retire``: stop AWS IoT from registering certificates of a CA.

The command makes the CA INACTIVE at once, and prints the setting that keeps it so: CloudFormation sends the status that
the template declares whenever something about the registration changes.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``, iot:DescribeCACertificate,
iot:UpdateCACertificate.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
certificates of it. Devices renew by themselves at two thirds of their certificate's life.

Write the setting that the command prints into cdk.json, and deploy: a deployment without it is refused when it would
make the CA active again. A retired CA may also be removed from cdk.json; its registration and its key in KMS are
retained, and the key costs money until you schedule its deletion.

After a theft (--force): AWS IoT registers no further certificate of the CA. Certificates that are registered already
go on working: look at `audit` and `list` next, and `block` each device that is not yours. New certificates need another
CA: add one to cdk.json in the same deployment.
JSON: name, certificateIds, retired, setting (what cdk.json has to say)."""
    add_examples(parser, "zymkey-fleet ca retire 2026", "zymkey-fleet ca retire 'Acme device CA' --force")


@dataclass(frozen=True, kw_only=True)
class _Authority:
    name: str
    certificate: x509.Certificate
    in_kms: bool

    @property
    def place(self) -> str:
        """Where in cdk.json it is."""
        return f'the CA "{self.name}" of certificateAuthorities' if self.in_kms else "externalCertificateAuthority"

    @property
    def setting(self) -> dict[str, Any]:
        """What cdk.json has to say so that a deployment keeps the CA retired."""
        if self.in_kms:
            return {"certificateAuthorities": [{"name": self.name, "retired": True}]}
        return {"externalCertificateAuthority": {"retired": True}}


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    authorities = _authorities(deployment)
    of_this_name = [each for each in authorities if each.name == arguments.name]
    if not of_this_name:
        names = ", ".join(sorted({each.name for each in authorities})) or "none"
        raise Refused(f"There is no CA {arguments.name!r}; there are: {names}.", cure="give one of these names")
    if not arguments.force:
        issues = _issues(authorities, deployment)
        of_this_name = [each for each in of_this_name if each is not issues]
        _refuse_to_retire_the_needed(arguments.name, [each.certificate for each in of_this_name], deployment.ledger)
    retired = [certificate_id(each.certificate) for each in of_this_name]
    for identifier in retired:
        _deactivate(identifier, deployment)
    setting: dict[str, Any] = {}
    for each in of_this_name:
        setting |= each.setting
    if arguments.json:
        print_json({"name": arguments.name, "certificateIds": retired, "retired": True, "setting": setting})
    else:
        print_line(f"The CA {arguments.name!r} is retired: AWS IoT registers no more of its certificates.")
        for place in sorted({each.place for each in of_this_name}):
            print_line(
                f'If cdk.json names it, add "retired": true to {place} there, and deploy; '
                "a deployment without this is refused when it would make the CA active again."
            )
    return 0


def _authorities(deployment: Deployment) -> list[_Authority]:
    """All CAs by name. Several CAs have one name when the issuer was switched away from KMS and back."""
    in_kms = [
        _Authority(
            name=each.name, certificate=x509.load_pem_x509_certificate(each.certificate_pem.encode()), in_kms=True
        )
        for each in deployment.ledger.certificate_authorities()
    ]
    external = deployment.api.ca_certificates() if deployment.outputs.issuer == EXTERNAL else []
    return in_kms + [_Authority(name=_common_name(each), certificate=each, in_kms=False) for each in external]


def _issues(authorities: list[_Authority], deployment: Deployment) -> _Authority | None:
    """The newest that is not retired yet. If the newest was retired after a theft, an older one issues again."""
    for each in sorted(authorities, key=lambda each: each.certificate.not_valid_before_utc, reverse=True):
        if _is_active(certificate_id(each.certificate), deployment):
            return each
    return None


def _is_active(identifier: str, deployment: Deployment) -> bool:
    try:
        found = deployment.iot.describe_ca_certificate(certificateId=identifier)
    except deployment.iot.exceptions.ResourceNotFoundException:
        return False
    return found["certificateDescription"]["status"] == "ACTIVE"


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
