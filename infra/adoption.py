"""What a destroyed deployment left behind, and this one takes over: the setting ``adopt``.

An adopted resource is named by the template, and no longer made by it. In its place, under its logical id, stands a
resource of another type that does nothing. CloudFormation refuses to change a resource's type, so a deployment without
the setting, which would begin an empty ledger, changes nothing and fails ("Update of resource type is not permitted").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import CfnWaitConditionHandle
from constructs import Construct

from infra.setting_readers import Reader, SettingsError, a_text, an_object, wrong


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """Physical ids. What is not given is made.

    Attributes:
        ledger_table: the table's name.
        iot_policy: the name of the policy that is attached to the devices' certificates.
        certificate_authorities: ARNs of keys in KMS, by the names of their CAs in the settings.
        external_certificate_authority: the AWS IoT id of the external CA: 64 hexadecimal digits.
    """

    ledger_table: str | None = None
    iot_policy: str | None = None
    certificate_authorities: Mapping[str, str] = field(default_factory=dict)
    external_certificate_authority: str | None = None


class Placeholder(Construct):
    """Stands under the logical id that a construct of the CDK with this id would give its resource."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        CfnWaitConditionHandle(self, "Resource")


_READERS: dict[str, tuple[str, Reader]] = {
    "ledgerTable": ("ledger_table", a_text(r"[A-Za-z0-9_.-]{3,255}", "the name of a DynamoDB table")),
    "iotPolicy": ("iot_policy", a_text(r"[\w+=,.@-]{1,128}", "the name of an IoT policy")),
    "certificateAuthorities": ("certificate_authorities", lambda where, value: _keys(where, value)),
    "externalCertificateAuthority": (
        "external_certificate_authority",
        a_text(r"[0-9a-f]{64}", "the id of a CA certificate in AWS IoT: 64 hexadecimal digits"),
    ),
}


def read_adoption(where: str, value: Any) -> Adoption:
    """Read the setting.

    Raises:
        SettingsError: a name or a value is not allowed, or a CA is adopted without the ledger that has its certificate.
    """
    if value is None:
        return Adoption()
    adoption = Adoption(**an_object(where, value, _READERS))
    if adoption.certificate_authorities and adoption.ledger_table is None:
        raise SettingsError(
            f"{where}.ledgerTable is missing, but must name the ledger of the CAs in {where}.certificateAuthorities: "
            "it has their certificates."
        )
    return adoption


def check_adoption(where: str, adoption: Adoption, *, authorities: Iterable[str], has_external: bool) -> None:
    """Hold it against the other settings.

    Args:
        authorities: the names in the setting ``certificateAuthorities``.
        has_external: whether ``externalCertificateAuthority`` names files.

    Raises:
        SettingsError: a CA is adopted that the settings do not have.
    """
    known = tuple(authorities)
    for name in adoption.certificate_authorities:
        if name not in known:
            raise SettingsError(
                f"{where}.certificateAuthorities.{name} is no CA of this deployment, whose setting "
                f"certificateAuthorities has {', '.join(known)}."
            )
    if adoption.external_certificate_authority is not None and not has_external:
        raise SettingsError(
            f"{where}.externalCertificateAuthority names a CA, but the setting externalCertificateAuthority is null "
            "and must name its certificate's file."
        )


def _keys(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(where, value, "an object with the ARN of a key in KMS for each adopted CA, by the CA's name")
    an_arn = a_text(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}", "the ARN of a key in KMS")
    return {name: an_arn(f"{where}.{name}", arn) for name, arn in value.items()}
