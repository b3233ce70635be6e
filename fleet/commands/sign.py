"""``zymkey-fleet sign``: sign the CSRs that wait, and register the certificates.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``. The certificates go to the
deployment's HTTP API, which registers them: an operator needs no right to register certificates in AWS IoT.
"""

import argparse
from datetime import UTC, datetime

from cryptography import x509

from fleet.arguments import deployment_options, device_name, json_option, positive, subject_attribute
from fleet.ca_key import ca_options, open_ca
from fleet.certificate_files import check
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Refused
from fleet.output import note
from fleet.registrations import Registration, exit_code, show
from fleet.waiting import waiting_csrs
from ledger import Device
from pki.certificate_authority_checks import check_certificate_authority
from pki.certificates import Signer, device_certificate
from pki.csr import read_csr
from pki.issued_certificate_checks import CertificateError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", type=device_name, help="these devices only (default: all)")
    ca_options(parser, required=True)
    parser.add_argument(
        "--days", type=positive, default=365, help="validity; never beyond the CA's own (default: %(default)s)"
    )
    parser.add_argument(
        "--subject",
        metavar="ATTRIBUTE=VALUE",
        action="append",
        default=[],
        type=subject_attribute,
        help="added to the common name, which is the device's; such as O=Example, and C, ST, L, OU; repeatable",
    )
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
For a deployment whose issuer is external. Each certificate is checked as `import` checks it. Nothing secret is sent:
the CA key stays here. A device that waits goes on by itself within a minute or two.
JSON: a list of name, registered, certificateId, reason.

example:
  zymkey-fleet sign --ca-cert ca.crt --ca-key ca.key"""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    deployment.require_issuer("external")
    ca, signer = open_ca(options)
    authorities = deployment.api.ca_certificates()
    _check_ca(ca, authorities)
    waiting = waiting_csrs(deployment.ledger)
    unknown = set(options.names) - {each.name for each in waiting}
    if unknown:
        raise Refused(f"No CSR of {', '.join(sorted(unknown))} waits for a signature.")
    chosen = [each for each in waiting if not options.names or each.name in options.names]
    registrations = [
        _sign(each, ca=ca, signer=signer, options=options, authorities=authorities, deployment=deployment)
        for each in chosen
    ]
    show(registrations, as_json=options.json)
    if not chosen and not options.json:
        note("No CSR waits for a signature.")
    return exit_code(registrations)


def _check_ca(ca: x509.Certificate, authorities: list[x509.Certificate]) -> None:
    if ca not in authorities:
        raise Refused(
            f"The CA {ca.subject.rfc4514_string()!r} is not the one that this deployment has registered with AWS IoT."
        )
    try:
        check_certificate_authority(ca, now=datetime.now(UTC))
    except CertificateError as error:
        raise Refused(str(error)) from None


def _sign(
    device: Device,
    *,
    ca: x509.Certificate,
    signer: Signer,
    options: argparse.Namespace,
    authorities: list[x509.Certificate],
    deployment: Deployment,
) -> Registration:
    certificate = None
    try:
        certificate = device_certificate(
            signer=signer,
            ca=ca,
            key=read_csr((device.csr or "").encode("ascii")).public_key,
            device=device.name,
            subject=dict(options.subject),
            validity_days=options.days,
            now=datetime.now(UTC),
        )
        check(certificate, authorities=authorities, ledger=deployment.ledger)
        deployment.api.upload(certificate)
    except (FleetError, CertificateError) as error:
        return Registration(name=device.name, certificate=certificate, failure=error)
    return Registration(name=device.name, certificate=certificate)
