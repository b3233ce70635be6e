"""How the CA of a certificate is registered with AWS IoT."""

from __future__ import annotations

from cryptography import x509

from fleet.deployment import Deployment
from fleet.smoke_test.report import Report
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON


def ask_for_mode(deployment: Deployment, certificate: x509.Certificate, report: Report) -> None:
    """Whether CloudFormation passed the mode on: SNI_ONLY, or DEFAULT.

    Calls iot:DescribeCertificate, DescribeCACertificate.
    """
    if deployment.outputs.issuer == AMAZON:
        report.leave_open("caCertificateMode", "Amazon's CA is not registered")
        return

    def mode() -> str:
        described = deployment.iot.describe_certificate(certificateId=certificate_id(certificate))
        ca = described["certificateDescription"].get("caCertificateId")
        if ca is None:
            return "AWS IoT does not connect the certificate with a CA"
        registered = deployment.iot.describe_ca_certificate(certificateId=ca)["certificateDescription"]
        return registered.get("certificateMode", "AWS IoT names no mode")

    report.ask("caCertificateMode", mode)
