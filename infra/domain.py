"""The settings ``domain`` and ``formerDomains``: host names of your own for the enrollment URL.

API Gateway's own host name has the API's id in it, and an API that is made again has another one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.setting_readers import SettingsError, a_text, an_object, shown, wrong

# RFC 1123 section 2.1; API Gateway takes capitals for lower case, but a device compares URLs.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"(?=.{{4,253}}\Z)(?:{_LABEL}\.)+{_LABEL}"
_CERTIFICATE = re.compile(
    r"arn:aws(?:-[a-z]+)*:acm:(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]):[0-9]{12}:certificate/[A-Za-z0-9-]+"
)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """``hosted_zone_id`` is the Route 53 zone to write the records into; None when DNS is elsewhere."""

    name: str
    certificate_arn: str
    hosted_zone_id: str | None = None
    hosted_zone_name: str | None = None

    @property
    def url(self) -> str:
        return f"https://{self.name}"

    @property
    def certificate_region(self) -> str:
        found = _CERTIFICATE.fullmatch(self.certificate_arn)
        return found["region"] if found else ""


def a_domain(where: str, value: Any) -> Domain | None:
    """Read the setting; null is none.

    Raises:
        SettingsError: a member is missing or not allowed.
    """
    if value is None:
        return None
    fields = an_object(
        where,
        value,
        {
            "name": ("name", a_text(_NAME, "a host name in lower case such as enroll.example.com")),
            "certificateArn": ("certificate_arn", _certificate_arn),
            "hostedZoneId": ("hosted_zone_id", a_text(r"Z[A-Z0-9]{1,31}", "the id of a hosted zone, Z…")),
            "hostedZoneName": (
                "hosted_zone_name",
                a_text(_NAME, "the hosted zone's name in lower case, without a dot at its end"),
            ),
        },
    )
    for member, field in (("name", "name"), ("certificateArn", "certificate_arn")):
        if field not in fields:
            raise SettingsError(f"{where}.{member} is missing, but a domain must have it.")
    domain = Domain(**fields)
    if (domain.hosted_zone_id is None) != (domain.hosted_zone_name is None):
        raise SettingsError(f"{where} must have both of hostedZoneId and hostedZoneName, or neither.")
    zone = domain.hosted_zone_name
    if zone is not None and domain.name != zone and not domain.name.endswith(f".{zone}"):
        raise SettingsError(f"{where}.name is {shown(domain.name)}, but must be in the hosted zone {zone}.")
    return domain


def former_domains(where: str, value: Any) -> tuple[Domain, ...]:
    """Read the setting: names that devices still know, while ``domain`` is the one that they are told.

    Raises:
        SettingsError: it is no list, or one of them is no domain.
    """
    if not isinstance(value, list):
        raise wrong(where, value, "a list of objects as in domain")
    found = [a_domain(f"{where}[{position}]", member) for position, member in enumerate(value)]
    return tuple(each for each in found if each is not None)


def check_names(domains: Sequence[Domain]) -> None:
    """Raises:
    SettingsError: one name is there twice.
    """
    names = [each.name for each in domains]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"zymkey-fleet.domain and formerDomains have {twice} twice, but must have each name once.")


def check_region(domain: Domain, region: str | None) -> None:
    """API Gateway takes a certificate of its own Region alone.

    Args:
        region: of the deployment; None while it is not known.

    Raises:
        SettingsError: the certificate is in another one.
    """
    if region is not None and domain.certificate_region != region:
        raise SettingsError(
            f"zymkey-fleet.domain: the certificate of {domain.name} is in {domain.certificate_region}, but must be in "
            f"the deployment's Region, {region}: request it there."
        )


def _certificate_arn(where: str, value: Any) -> str:
    if not isinstance(value, str) or not _CERTIFICATE.fullmatch(value):
        raise wrong(where, value, "the ARN of an ACM certificate (arn:aws:acm:REGION:ACCOUNT:certificate/…)")
    return value
