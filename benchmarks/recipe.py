"""The vendor's recipe, as commands to measure: those that its document tells a person to run on the Pi for each device.

Left out is what is done once or not by the device: to make and register a CA, and to attach a policy, which the recipe
does in AWS's console. One mistake of its last command is corrected: AWS's server is verified with AWS's CA, and not
with the device's own.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from pki.fingerprint import certificate_id

from .processes import Cost, measure

# aws_sign_csr.py, word for word.
SIGN_BY_AMAZON = """\
import boto3

iot_client = boto3.client('iot')
with open('zymkey.csr', 'r') as zymkey_csr_file:
	zymkey_csr = zymkey_csr_file.read()

zymkey_cert = iot_client.create_certificate_from_csr(
	certificateSigningRequest=zymkey_csr,
	setAsActive=True
)

with open('zymkey.crt', 'w') as zymkey_cert_file:
	zymkey_cert_file.write(zymkey_cert['certificatePem'])
"""

# activate_aws_cert.py with its indentation repaired, and ``status`` instead of ``setAsActive``, which is deprecated.
ACTIVATE = """\
import boto3
import OpenSSL

def activate_cert_AWS(CA_path, Cert_path):
	boto3client = boto3.client('iot')
	with open(CA_path) as CA_file:
		CA_Pem = CA_file.read()
	with open(Cert_path) as Cert_file:
		Cert_Pem = Cert_file.read()
	return boto3client.register_certificate(
		certificatePem=Cert_Pem,
		caCertificatePem=CA_Pem,
		status='ACTIVE',
	)

activate_cert_AWS(CA_path='CA_files/zk_ca.crt', Cert_path='zymkey.crt')
"""

_MAKE_CA = [
    ["openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", "zk_ca.key"],
    [
        *("openssl", "req", "-x509", "-new", "-SHA256", "-key", "zk_ca.key", "-days", "3650", "-out", "zk_ca.crt"),
        *("-subj", "/C=US/ST=California/L=Santa Barbara/O=Zymkey/CN=zymkey-verify.zymbit.com.dev"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
    ],
]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The recipe in a folder of its own. ``iot`` is the operator's boto3 client; ``python`` runs the scripts."""

    folder: Path
    python: Path
    environment: Mapping[str, str]
    iot: Any
    policy: str

    def with_amazons_ca(self, name: str) -> Cost:
        """Request, certificate by Amazon's CA, publish."""
        (self.folder / "aws_sign_csr.py").write_text(SIGN_BY_AMAZON)
        cost = self._request(name).then(self._run(self.python, "aws_sign_csr.py"))
        self._attach_policy()
        return cost.then(self._publish(name))

    def with_own_ca(self, name: str) -> Cost:
        """Request, certificate by a CA in a file, registration, publish. ``prepare_own_ca`` comes first."""
        (self.folder / "activate_aws_cert.py").write_text(ACTIVATE)
        cost = self._request(name)
        cost = cost.then(
            self._run(
                *("openssl", "x509", "-req", "-SHA256", "-days", "3650", "-CA", "CA_files/zk_ca.crt"),
                *("-CAkey", "CA_files/zk_ca.key", "-CAcreateserial", "-in", "zymkey.csr", "-out", "zymkey.crt"),
            )
        )
        cost = cost.then(self._run(self.python, "activate_aws_cert.py"))
        self._attach_policy()
        return cost.then(self._publish(name))

    def prepare_own_ca(self) -> None:
        """Make a CA and register it: once, on the operator's machine. Not measured."""
        place = self.folder / "CA_files"
        place.mkdir(parents=True)
        for command in _MAKE_CA:
            subprocess.run(command, cwd=place, check=True, capture_output=True)
        certificate = (place / "zk_ca.crt").read_text()
        self.iot.register_ca_certificate(caCertificate=certificate, certificateMode="SNI_ONLY", setAsActive=True)

    def _request(self, name: str) -> Cost:
        return self._run(
            *("openssl", "req", "-key", "nonzymkey.key", "-new", "-out", "zymkey.csr", "-engine", "zymkey_ssl"),
            *("-keyform", "e", "-subj", f"/C=US/ST=California/L=Santa Barbara/O=Zymbit/OU=Zymkey/CN={name}"),
        )

    def _attach_policy(self) -> None:
        """Attach the policy, which the recipe does in the console. Not measured."""
        pem = (self.folder / "zymkey.crt").read_text()
        identifier = certificate_id(x509.load_pem_x509_certificate(pem.encode()))
        certificate = self.iot.describe_certificate(certificateId=identifier)
        self.iot.attach_policy(policyName=self.policy, target=certificate["certificateDescription"]["certificateArn"])

    def _publish(self, name: str) -> Cost:
        address = f"https://{self.environment['IOT_ENDPOINT']}:{self.environment['IOT_HTTPS_PORT']}"
        return self._run(
            *("curl", "--fail", "--tlsv1.2", "--cacert", self.environment["CA_BUNDLE"], "--cert", "zymkey.crt"),
            *("--key", "nonzymkey.key", "--engine", "zymkey_ssl", "--key-type", "ENG", "-v", "-X", "POST"),
            *("-d", '{ "hello": "world" }', f"{address}/topics/devices/{name}/hello"),
        )

    def _run(self, *command: str | Path) -> Cost:
        return measure(*command, folder=self.folder, environment={**os.environ, **self.environment})
