"""The topics of a throw-away device, out of the deployment's templates."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from pki.fingerprint import certificate_id
from pki.names import common_names


def https_name(certificate: x509.Certificate) -> str:
    """The value of ``{device}`` over HTTPS: the common name or, without one, the certificate's id."""
    names = common_names(certificate.subject)
    return names[0] if names else certificate_id(certificate)


def topic_of(templates: Sequence[str], name: str) -> str:
    """A topic of this device; one with the device's name, if there is one."""
    template = next((each for each in templates if "{device}" in each), templates[0])
    return template.replace("{device}", name).replace("*", "verify")


def both_ways(topics: dict[str, list[str]]) -> list[str]:
    """The templates that a device may publish and subscribe to."""
    return [each for each in topics["publish"] if each in topics["subscribe"]]
