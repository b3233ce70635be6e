"""``zymkey-fleet sign``: sign the CSRs that wait, and register the certificates.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``. The certificates go to the
deployment's HTTP API, which registers them: an operator needs no right to register certificates in AWS IoT.
"""

import argparse
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.arguments import add_deployment, add_examples, add_json, device_name, positive, subject_attribute
from fleet.ca_key import add_ca, open_ca, refuse_unsuitable_ca
from fleet.certificate_files import check, register
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Refused
from fleet.output import note
from fleet.registrations import Registration, exit_code, show
from fleet.waiting import waiting_csrs
from ledger import Device
from pki.certificates import Signer, device_certificate
from pki.csr import CsrError, read_csr
from pki.issuers import EXTERNAL
from pki.received_certificate import CertificateError, read_certificate, subject_of


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", type=device_name, help="only these devices (default: all)")
    add_ca(parser, required=True)
    parser.add_argument(
        "--days", type=positive, default=365, help="validity, at most the CA's own (default: %(default)s)"
    )
    parser.add_argument(
        "--subject",
        metavar="ATTRIBUTE=VALUE",
        action="append",
        default=[],
        type=subject_attribute,
        help="added to the subject beside the common name, such as O=Example; also C, ST, L, OU; repeatable",
    )
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
For a deployment with the issuer external. Each certificate is checked as `import` checks it. Nothing secret is sent:
the CA key stays here. A device that waits goes on by itself within a minute or two.
JSON: a list of name, registered, certificateId, reason, try."""
    add_examples(
        parser,
        "zymkey-fleet sign --ca-cert ca.crt --ca-key ca.key",
        "zymkey-fleet sign pi-1 pi-2 --ca-cert ca.crt --ca-key ca.key --days 90",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    deployment.require_issuer(EXTERNAL)
    ca, signer = open_ca(arguments)
    authorities = deployment.api.ca_certificates()
    if ca not in authorities:
        raise Refused(
            f"The CA {subject_of(ca)!r} is not the one that this deployment has registered with AWS IoT.",
            cure="give the CA that cdk.json names as externalCertificateAuthority",
        )
    refuse_unsuitable_ca(ca)
    waiting = waiting_csrs(deployment.ledger)
    unknown = set(arguments.names) - {each.name for each in waiting}
    if unknown:
        raise Refused(
            f"No CSR of {', '.join(sorted(unknown))} waits for a signature.",
            cure="zymkey-fleet pending, which shows those that wait",
        )
    chosen = [each for each in waiting if not arguments.names or each.name in arguments.names]
    registrations = [
        _sign(each, ca=ca, signer=signer, arguments=arguments, authorities=authorities, deployment=deployment)
        for each in chosen
    ]
    show(registrations, as_json=arguments.json)
    if not chosen and not arguments.json:
        note("No CSR waits for a signature.")
    return exit_code(registrations)


def _sign(
    device: Device,
    *,
    ca: x509.Certificate,
    signer: Signer,
    arguments: argparse.Namespace,
    authorities: list[x509.Certificate],
    deployment: Deployment,
) -> Registration:
    certificate = None
    try:
        certificate = device_certificate(
            signer=signer,
            ca=ca,
            key=read_csr((device.csr or "").encode()).public_key,
            device=device.name,
            subject=dict(arguments.subject),
            validity_days=arguments.days,
            now=datetime.now(UTC),
        )
        received = read_certificate(certificate.public_bytes(Encoding.DER))
        register(check(received, authorities=authorities, ledger=deployment.ledger), deployment)
    except (CertificateError, CsrError) as error:
        return Registration(name=device.name, certificate=certificate, failure=Refused(str(error)))
    except FleetError as error:
        return Registration(name=device.name, certificate=certificate, failure=error)
    return Registration(name=device.name, certificate=certificate)
