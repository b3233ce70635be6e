"""The environment of a function is limited by Lambda: what the settings make of it is measured at synth.

Some values are known to AWS alone, when it has made what they name: of these the longest and the shortest possible are
measured. What is surely too long is refused. What may be is warned of: a deployment that works is not refused for it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from aws_cdk import Annotations, Token
from constructs import IConstruct
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.setting_readers import SettingsError
from pki.certificates import ca_certificate

# Lambda quotas, "Environment variables": 4 KB in all. Its refusal quotes what it has measured: the variables as JSON.
MAX_BYTES = 4096
# The longest of the names and ARNs that AWS makes here: a key's ARN in GovCloud has 86 characters, and a name that
# CloudFormation makes of a fleet's of 31 has 72.
_LONGEST_NAME = 90
# The shortest: a name that CloudFormation makes of a stack's, a logical id and 12 characters.
_SHORTEST_NAME = 30
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


def check_environment(
    scope: IConstruct, function: str, environment: Mapping[str, str], *, unknown: Mapping[str, tuple[int, int]]
) -> None:
    """Refuse an environment that Lambda would not take, and warn of one that it may not take.

    Args:
        scope: what the warning is about.
        function: its name in the logs.
        unknown: how many bytes the values take at least and at most, as JSON, that only AWS knows.

    Raises:
        SettingsError: it is longer than Lambda takes; the sentence names the settings to shorten.
    """
    least = sum(_size(name, value, unknown, 0) for name, value in environment.items()) + 1  # no comma after the last
    sizes = {name: _size(name, value, unknown, 1) for name, value in environment.items()}
    most = sum(sizes.values()) + 1
    if most <= MAX_BYTES:
        return
    long = sorted((name for name in sizes if name in _SETTINGS), key=lambda name: -sizes[name])
    parts = ", ".join(f"{_SETTINGS[name]} takes {sizes[name]:,}" for name in long if sizes[name] > 100)
    sentence = (
        f"The settings make an environment of up to {most:,} bytes for the function {function}, but Lambda takes "
        f"{MAX_BYTES:,}: {parts}."
    )
    if least > MAX_BYTES:
        raise SettingsError(f"{sentence} Shorten these.")
    Annotations.of(scope).add_warning_v2(
        "zymkey-fleet:longEnvironment", f"{sentence} If the deployment fails for it, shorten these."
    )


def length_of_ca(*, common_name: str, organization: str, validity_years: int) -> tuple[int, int]:
    """How many bytes the certificate of a CA in KMS takes at least and at most, as PEM in JSON.

    One of the same names is made. The first release made them without the key's id.
    """

    def length(distinguisher: str, margin: int) -> int:
        return _length_of_ca(common_name, organization, validity_years, distinguisher, margin)

    return length("", -_DER_MARGIN), length("0" * _KEY_ID, _DER_MARGIN)


def _length_of_ca(common_name: str, organization: str, validity_years: int, distinguisher: str, margin: int) -> int:
    sample = ca_certificate(
        signer=ec.generate_private_key(ec.SECP256R1()),
        common_name=common_name,
        organization=organization,
        validity_years=validity_years,
        now=datetime.now(UTC),
        distinguisher=distinguisher,
    )
    base64 = -(-(len(sample.public_bytes(Encoding.DER)) + margin) // 3) * 4
    lines = -(-base64 // 64) + 2
    return base64 + len("-----BEGIN CERTIFICATE----------END CERTIFICATE-----") + len(r"\n") * lines


def length_in_json(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _size(name: str, value: str, unknown: Mapping[str, tuple[int, int]], which: int) -> int:
    """With the quotes, the colon and the comma around it. ``which`` is 0 for the least, 1 for the most."""
    if name in unknown:
        length = unknown[name][which]
    else:
        length = (_SHORTEST_NAME, _LONGEST_NAME)[which] if Token.is_unresolved(value) else length_in_json(value)
    return len(name) + length + len('"":"",')
