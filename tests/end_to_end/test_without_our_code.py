"""What works with the tools that everybody has: `openssl` with the vendor's engine, `curl`, and boto3."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, new_name


@pytest.fixture(scope="module")
def cloud(sandbox):
    return Cloud(sandbox)


@pytest.fixture
def run(sandbox, zymkey, tmp_path):
    """Run a command line as a person would, in a folder of its own, with the Zymkey at hand."""
    environment = {**os.environ, **sandbox.env, **zymkey.environment()}

    def run(*command: str | Path) -> bytes:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def test_openssl_and_curl_enroll_a_device(cloud, run, zymkey, tmp_path):
    candidate = cloud.invite(Candidate())
    run(
        *("openssl", "req", "-key", "nonzymkey.key", "-new", "-outform", "DER", "-out", "zymkey.der"),
        *("-engine", "zymkey_ssl", "-keyform", "e", "-subj", f"/CN={candidate.name}"),
    )
    run("openssl", "base64", "-in", "zymkey.der", "-out", "zymkey.b64")
    reply = run(
        *("curl", "--silent", "--fail-with-body", "--cacert", cloud.ca_bundle),
        *("--user", f"{candidate.name}:{candidate.token}"),
        *("--header", "Content-Type: application/pkcs10", "--data-binary", "@zymkey.b64"),
        f"{cloud.url}/.well-known/est/simpleenroll",
    )
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply, validate=True))
    candidate.key = x509.load_der_x509_csr((tmp_path / "zymkey.der").read_bytes())  # its public_key() is the Zymkey's
    assert_enrolled(cloud, candidate, certificate)
    assert zymkey.signatures() == 1


def test_strongswans_est_client_learns_the_ca_and_enrolls(cloud, run, tmp_path):
    """A client that reads EST strictly: bookworm's fails on base64 in lines, and asks for the CA first."""
    candidate = cloud.invite(Candidate())
    for number, root in enumerate(x509.load_pem_x509_certificates(Path(cloud.ca_bundle).read_bytes())):
        (tmp_path / f"root-{number}.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "csr.der").write_bytes(base64.b64decode(candidate.csr))
    roots = [argument for path in tmp_path.glob("root-*.pem") for argument in ("--cacert", path)]
    run("pki", "--estca", "--url", cloud.url, *roots, "--caout", "fleet", "--outform", "pem")
    out = run(
        *("pki", "--est", "--url", cloud.url, "--in", "csr.der", *roots, "--cacert", "fleet.pem"),
        *("--userpass", f"{candidate.name}:{candidate.token}", "--outform", "pem"),
    )
    assert_enrolled(cloud, candidate, x509.load_pem_x509_certificate(out))


@pytest.mark.parametrize("ca", ["amazon", "own"])
def test_the_vendors_recipe_works_by_hand_forbidden_before_the_policy_and_published_after(run, zymkey, tmp_path, ca):
    script = Path(__file__).with_name("recipe_by_hand.sh")
    name = new_name("by-hand")
    assert run(script, ca, tmp_path, name, sys.executable).split() == [b"403", b"200"]
    assert zymkey.signatures() == 3  # the CSR, and a handshake for each publish
