"""The CAs of a fleet: those that deployments made in KMS, and its external ones, as AWS IoT has them now.

The ledger remembers each CA in KMS. An external CA is known by the fleet's tag on its registration, which every
deployment since the second release gives it, or because the deployment shows it (EST ``cacerts``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from fleet.errors import Refused
from fleet.left_behind import FLEET_TAG
from fleet.registered_authorities import RegisteredAuthority, registered_authorities
from ledger import CertificateAuthority
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON, EXTERNAL, KMS
from pki.names import common_names
from pki.received_certificate import subject_of

if TYPE_CHECKING:
    from fleet.deployment import Deployment

ACTIVE = "ACTIVE"


@dataclass(frozen=True, kw_only=True)
class FleetAuthority:
    """A CA of the fleet.

    Attributes:
        name: in cdk.json; of an external CA its certificate's common name.
        in_kms: what the ledger has of it; None for an external CA.
        status: in AWS IoT, ACTIVE or INACTIVE; None when somebody has deleted the registration.
        mode: of the registration, DEFAULT or SNI_ONLY.
    """

    name: str
    certificate: x509.Certificate
    in_kms: CertificateAuthority | None
    status: str | None
    mode: str | None

    @property
    def certificate_id(self) -> str:
        return certificate_id(self.certificate)

    @property
    def place(self) -> str:
        """Where in cdk.json it is."""
        return (
            "externalCertificateAuthority" if self.in_kms is None else f'the CA "{self.name}" of certificateAuthorities'
        )

    @property
    def setting(self) -> dict[str, Any]:
        """What cdk.json has to say so that a deployment keeps the CA retired."""
        if self.in_kms is None:
            return {"externalCertificateAuthority": {"retired": True}}
        return {"certificateAuthorities": [{"name": self.name, "retired": True}]}


def authorities_of(deployment: Deployment) -> list[FleetAuthority]:
    """All CAs of the fleet, oldest first. Several have one name when the issuer was switched away from KMS and back.

    Calls dynamodb:Query on the index ``listing``, dynamodb:GetItem, iot:ListCACertificates, DescribeCACertificate and
    ListTagsForResource.
    """
    registered = {each.certificate_id: each for each in registered_authorities(deployment.iot)}
    found = {}
    for kept in deployment.ledger.certificate_authorities():
        certificate = x509.load_pem_x509_certificate(kept.certificate_pem.encode())
        found[certificate_id(certificate)] = _authority(kept.name, certificate, kept, registered)
    declared = declared_authorities(deployment) if deployment.outputs.issuer == EXTERNAL else []
    tagged = (
        each.certificate
        for each in registered.values()
        if each.certificate_id not in found and _is_fleets(each, deployment)
    )
    for certificate in (*declared, *tagged):
        found.setdefault(
            certificate_id(certificate), _authority(_common_name(certificate), certificate, None, registered)
        )
    return sorted(found.values(), key=lambda each: each.certificate.not_valid_before_utc)


def declared_authorities(deployment: Deployment) -> list[x509.Certificate]:
    """The CAs that the deployed settings name and do not call retired: those of the issuer in use.

    Asks the enrollment API; Amazon's issuer has none.
    """
    return [] if deployment.outputs.issuer == AMAZON else deployment.api.ca_certificates()


def issuing(authorities: Iterable[FleetAuthority], issuer: str) -> FleetAuthority | None:
    """The CA that signs: the newest active one of the issuer in use. None with Amazon's, and when all are retired.

    If the newest was retired after a theft, an older one signs again.
    """
    of_issuer = [each for each in authorities if issuer == (EXTERNAL if each.in_kms is None else KMS)]
    return next((each for each in reversed(of_issuer) if each.status == ACTIVE), None)


def called(name: str, authorities: Iterable[FleetAuthority]) -> list[FleetAuthority]:
    """The CAs of this name, or the one with this certificate id, oldest first.

    Raises:
        Refused: there is none.
    """
    known = list(authorities)
    found = [each for each in known if name in (each.name, each.certificate_id)]
    if not found:
        names = ", ".join(sorted({each.name for each in known})) or "none"
        raise Refused(f"There is no CA {name!r}; there are: {names}.", cure="give one of these names")
    return found


def ids_of(name: str, deployment: Deployment) -> list[str]:
    """What the ledger calls the CAs of this name: the ids of their certificates.

    A certificate id is taken as it is, also that of a CA that AWS IoT does not have any more. Calls what
    ``authorities_of`` calls, for a name.

    Raises:
        Refused: there is no such CA.
    """
    if name == AMAZON or re.fullmatch(r"[0-9a-f]{64}", name):
        return [name]
    return [each.certificate_id for each in called(name, authorities_of(deployment))]


def _authority(
    name: str,
    certificate: x509.Certificate,
    in_kms: CertificateAuthority | None,
    registered: dict[str, RegisteredAuthority],
) -> FleetAuthority:
    registration = registered.get(certificate_id(certificate))
    return FleetAuthority(
        name=name,
        certificate=certificate,
        in_kms=in_kms,
        status=None if registration is None else registration.status,
        mode=None if registration is None else registration.mode,
    )


def _is_fleets(registered: RegisteredAuthority, deployment: Deployment) -> bool:
    tags = deployment.iot.list_tags_for_resource(resourceArn=registered.arn)["tags"]
    return {"Key": FLEET_TAG, "Value": deployment.outputs.fleet} in tags


def _common_name(certificate: x509.Certificate) -> str:
    names = common_names(certificate.subject)
    return names[0] if names else subject_of(certificate)
