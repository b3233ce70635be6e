"""`zymkey:` through the vendor's own module, with the simulated library, healthy and broken."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from device.keys.zymkey import ZymkeyKey
from device.keys.zymkey_client import ZymkeyClient
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.pi import Pi

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey


def pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_the_public_key_shown_is_the_slots_own(zymkey_pi: Pi, zymkey: SimulatedZymkey) -> None:
    inside = ec.generate_private_key(ec.SECP256R1())
    zymkey.put_key(1, pem(inside))

    shown = json.loads(zymkey_pi.run("key", "--key", "zymkey:slot=1", "--json").stdout)

    assert serialization.load_pem_public_key(shown["publicKey"].encode()) == inside.public_key()
    assert (shown["kind"], shown["slot"], shown["model"]) == ("zymkey", 1, "Zymkey 4 (simulated)")


def test_the_fingerprint_is_what_ssh_style_tools_compute(zymkey_pi: Pi) -> None:
    shown = json.loads(zymkey_pi.run("key", "--json").stdout)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"],
        input=shown["publicKey"].encode(),
        capture_output=True,
        check=True,
    ).stdout
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary"], input=der, capture_output=True, check=True
    ).stdout
    in_base64 = subprocess.run(["openssl", "base64"], input=digest, capture_output=True, check=True).stdout

    assert shown["fingerprint"] == "SHA256:" + in_base64.decode().strip().rstrip("=")


def test_showing_the_key_costs_no_signature(zymkey_pi: Pi, zymkey: SimulatedZymkey) -> None:
    assert zymkey_pi.run("key").returncode == 0
    assert zymkey.signatures() == 0


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "another curve than P-256"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519 or X25519"),
        (x25519.X25519PrivateKey.generate(), "ed25519 or X25519"),
    ],
    ids=["secp256k1", "ed25519", "x25519"],
)
def test_a_slot_of_a_kind_that_aws_does_not_take_is_named(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, key: PrivateKey, what: str
) -> None:
    zymkey.put_key(2, pem(key))

    result = zymkey_pi.run("bootstrap", "--key", "zymkey:slot=2")

    assert result.returncode == 3
    assert f"slot 2 of the Zymkey holds {'a key on ' if '256' in what else 'an '}{what}" in result.stderr


def test_a_slot_that_is_not_there_says_which_are(zymkey_pi: Pi) -> None:
    result = zymkey_pi.run("key", "--key", "zymkey:slot=7")

    assert result.returncode == 3
    assert "slot 7" in result.stderr
    assert "slots 0, 1 and 2" in result.stderr


def test_no_device_is_told_from_no_library(zymkey_pi: Pi, zymkey: SimulatedZymkey) -> None:
    zymkey.absent()

    result = zymkey_pi.run("key")

    assert result.returncode == 3
    assert "the library is installed, but no Zymkey answers" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bus_that_times_out_is_named(zymkey_pi: Pi, zymkey: SimulatedZymkey) -> None:
    zymkey.fail(-110)

    result = zymkey_pi.run("key")

    assert result.returncode == 3
    assert "ETIMEDOUT, return code -110" in result.stderr
    assert "i2c" in result.stderr


def test_a_device_that_fails_in_the_handshake_is_the_keys_fault_and_not_the_clouds(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    script = f"""
import sys
from sandbox.zymkey.device import SimulatedZymkey
from pathlib import Path
from device import tls
present = tls.HandshakeSigner.sign
def sign(self, *a, **k):
    SimulatedZymkey(Path({str(zymkey.state)!r})).fail(-110)
    return present(self, *a, **k)
tls.HandshakeSigner.sign = sign
from device.cli import main
sys.exit(main(["bootstrap"]))
"""
    result = zymkey_pi.python("-c", script)

    assert result.returncode == 3
    assert "the Zymkey did not sign (slot 0): Connection timed out" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_the_library_the_sentence_says_what_to_install(zymkey_pi: Pi, tmp_path: Path) -> None:
    script = (
        # The module looks in site-packages, where the simulated library stands, and in /usr/lib.
        "import sys, sysconfig;"
        f"sysconfig.get_path = lambda *_: {str(tmp_path)!r};"
        "from device.cli import main; sys.exit(main(['key']))"
    )
    result = zymkey_pi.python("-c", script)

    assert result.returncode == 3
    assert "library is not installed: unable to find libzk_app_utils.so" in result.stderr
    assert "install_zk_sw.sh" in result.stderr


def test_importing_the_vendors_module_needs_no_setuptools(zymkey_pi: Pi) -> None:
    script = (
        "import sys; sys.modules['setuptools'] = None; sys.modules['pkg_resources'] = None;"
        "from device.cli import main; code = main(['key']);"
        "assert 'distutils' not in sys.modules; sys.exit(code)"
    )
    result = zymkey_pi.python("-c", script)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("uri", ["zymkey:slot=x", "zymkey:1", "zymkey", "tpm:", ""])
def test_a_key_that_is_no_uri_is_wrong_use(zymkey_pi: Pi, uri: str) -> None:
    result = zymkey_pi.run("key", "--key", uri)

    assert result.returncode == 2
    assert "Try: --key" in result.stderr


def test_a_generated_key_that_one_firmware_loses_comes_with_a_warning() -> None:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    client = ZymkeyClient(None)

    assert ZymkeyKey(client, 11, public_key).warning is None
    assert "01.02.02" in str(ZymkeyKey(client, 16, public_key).warning)
