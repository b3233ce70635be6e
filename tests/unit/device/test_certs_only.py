"""The cheap reader of certs-only PKCS#7 agrees with cryptography's, and does not stumble over anything else."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from device.certs_only import _certificates, read_certs_only
from tests.unit.device.authority import Authority, certs_only, common_name
from tests.unit.device.conftest import Pi

AUTHORITY = Authority()
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
ONE = certs_only(AUTHORITY.issue(KEY, common_name("pi-7")))


@pytest.mark.parametrize("names", [["pi-7"], ["a", "b" * 60], ["x"] * 40])
def test_it_reads_what_cryptography_reads(names: list[str]) -> None:
    issued = [AUTHORITY.issue(KEY, common_name(name)) for name in names]
    message = certs_only(*issued)

    assert read_certs_only(message) == pkcs7.load_der_pkcs7_certificates(message)
    assert len(_certificates(message)) == len(issued), "the cheap way did not understand"


@given(st.binary(max_size=300))
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_certs_only(data)


@given(at=st.integers(0, len(ONE) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_gives_an_error_or_certificates(at: int, byte: int) -> None:
    changed = ONE[:at] + bytes([byte]) + ONE[at + 1 :]
    try:
        found = read_certs_only(changed)
    except ValueError:
        return
    assert all(isinstance(certificate, x509.Certificate) for certificate in found)


def test_a_bootstrap_does_not_load_the_costly_module(pi: Pi) -> None:
    script = (
        "import sys; from device.cli import main; code = main(['bootstrap']);"
        "assert code == 0; assert 'cryptography.hazmat.primitives.serialization.pkcs7' not in sys.modules"
    )
    result = pi.python("-c", script)

    assert result.returncode == 0, result.stderr
