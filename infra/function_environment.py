"""The environment of a function is limited by Lambda: what the settings make of it is measured at synth.

Some values are known to AWS alone, when it has made what they name: of these the longest possible is measured.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from aws_cdk import Token
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.setting_readers import SettingsError
from pki.certificates import ca_certificate

# Lambda quotas, "Environment variables": 4 KB in all. Its refusal quotes what it has measured: the variables as JSON.
MAX_BYTES = 4096
# The longest of the names and ARNs that AWS makes here: a key's ARN in GovCloud has 86 characters, and a name that
# CloudFormation makes of a fleet's of 31 has 72.
_LONGEST_NAME = 90
# The id of a key in KMS: a UUID, or ``mrk-`` and 32 digits.
_KEY_ID = 36
# A certificate made by another key on another day: signature, serial number, times may each be longer by some bytes.
_DER_MARGIN = 8

# By variable, the setting that makes it long.
_SETTINGS = {
    "CA_CERTIFICATES": "certificateAuthorities (fewer, or shorter names) or externalCertificateAuthority",
    "TOPICS": "topics",
    "THINGS": "things",
    "CERTIFICATE_SUBJECT": "certificateSubject",
    "ENROLLMENT_URL": "domain",
}


def check_environment(function: str, environment: Mapping[str, str], *, longest: Mapping[str, int]) -> None:
    """Refuse an environment that Lambda would not take.

    Args:
        function: its name in the logs.
        longest: how many bytes the values take at most, as JSON, that only AWS knows.

    Raises:
        SettingsError: it may be longer than Lambda takes; the sentence names the settings to shorten.
    """
    sizes = {name: _size(name, value, longest) for name, value in environment.items()}
    total = sum(sizes.values()) + 2
    if total <= MAX_BYTES:
        return
    long = sorted((name for name in sizes if name in _SETTINGS), key=lambda name: -sizes[name])
    parts = ", ".join(f"{_SETTINGS[name]} takes {sizes[name]:,}" for name in long if sizes[name] > 100)
    raise SettingsError(
        f"The settings make an environment of up to {total:,} bytes for the function {function}, but Lambda takes "
        f"{MAX_BYTES:,}: {parts}. Shorten these."
    )


def longest_ca(*, common_name: str, organization: str, validity_years: int) -> int:
    """How many bytes the certificate of a CA in KMS takes at most, as PEM in JSON. One of the same names is made."""
    sample = ca_certificate(
        signer=ec.generate_private_key(ec.SECP256R1()),
        common_name=common_name,
        organization=organization,
        validity_years=validity_years,
        now=datetime.now(UTC),
        distinguisher="0" * _KEY_ID,
    )
    base64 = -(-(len(sample.public_bytes(Encoding.DER)) + _DER_MARGIN) // 3) * 4
    lines = -(-base64 // 64) + 2
    return base64 + len("-----BEGIN CERTIFICATE----------END CERTIFICATE-----") + len(r"\n") * lines


def length_in_json(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _size(name: str, value: str, longest: Mapping[str, int]) -> int:
    """With the quotes, the colon and the comma around it."""
    if name in longest:
        length = longest[name]
    else:
        length = _LONGEST_NAME if Token.is_unresolved(value) else length_in_json(value)
    return len(name) + length + len('"":"",')
