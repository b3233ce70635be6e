"""The stack with all that devices in the field depend on. All of it is retained when the stack is deleted."""

from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.alarm_settings import refuse_topic_of_another_region
from infra.alarms import Alarms, AlarmTopic
from infra.bundled_function import FunctionDefaults
from infra.certificate_authority import CertificateAuthority, CertificateAuthorityMaker
from infra.declared_status import DeclaredStatus
from infra.device_credentials import DeviceCredentials
from infra.device_policy import DevicePolicy
from infra.external_authority_files import AuthorityFiles
from infra.external_certificate_authority import ExternalCertificateAuthority
from infra.function_environment import length_in_json, length_of_ca
from infra.key_watch import KeyWatch
from infra.ledger_table import LedgerTable
from infra.people import People
from infra.permissions_boundary import bound_roles
from infra.region import known_region, warn_of_region
from infra.settings import CONTEXT_KEY, Settings
from pki.issuers import EXTERNAL, KMS


class TrustStack(Stack):
    """Ledger, policies, and the fleet's own CAs; with Amazon's issuer there are none.

    Attributes:
        alarms: what this stack's and the other's alarms tell and link to.
        ca_certificates: PEM of each CA that is not retired, oldest first; the last one issues.
        declared_authorities: each CA's registration, as the audit reads it (``audit.declared``).
        credentials: what gives devices AWS credentials, if the settings want it.
        signing_key: the key of the CA that issues, if it is in KMS.
        external_ca_id: the AWS IoT id of the external CA, if it issues.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        enrollment_stack: str,
        external_authority: AuthorityFiles | None,
        defaults: FunctionDefaults,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"{settings.fleet}: ledger, policies and CAs of the device fleet",
            termination_protection=settings.termination_protection,
            tags=settings.tags,
        )
        bound_roles(self, settings.permissions_boundary)
        warn_of_region(self)

        # Here, because this stack has alarms of its own, and the other one is made after it.
        topic_arn = settings.alarm_topic_arn
        refuse_topic_of_another_region(CONTEXT_KEY, topic_arn=topic_arn, region=known_region(self))
        if settings.alarm_email is not None:
            topic = AlarmTopic(self, "AlarmTopic", fleet=settings.fleet, email=settings.alarm_email).topic
            topic_arn = topic.topic_arn
        self.alarms = Alarms(topic_arn=topic_arn, runbook_url=settings.runbook_url)
        adopt = settings.adopt
        self.ledger = LedgerTable(self, "Ledger", adopted=adopt.ledger_table)
        self.credentials: DeviceCredentials | None = None
        if settings.credentials is not None:
            self.credentials = DeviceCredentials(
                self, "DeviceCredentials", fleet=settings.fleet, settings=settings.credentials
            )
        self.device_policy = DevicePolicy(
            self,
            "DevicePolicy",
            fleet=settings.fleet,
            topics=settings.topics,
            mqtt_without_thing=settings.mqtt_without_thing,
            defaults=defaults,
            adopted=adopt.iot_policy,
            role_alias=None if self.credentials is None else self.credentials.role_alias,
        )
        self.people = People(
            self,
            "People",
            fleet=settings.fleet,
            ledger=self.ledger,
            device_policy=self.device_policy.policy_name,
            things=settings.things,
            renewal_topic=self.device_policy.lifecycle.renew,
            enrollment_stack=enrollment_stack,
        )
        self.ca_certificates: list[str] = []
        self.length_of_ca_certificates: list[tuple[int, int]] = []
        self.declared_authorities: list[dict[str, str]] = []
        self.signing_key: kms.IKey | None = None
        self.external_ca_id: str | None = None

        external = settings.external_certificate_authority
        if settings.issuer == KMS or external is not None:
            declared_status = DeclaredStatus(self, "DeclaredStatus", defaults=defaults, tags=settings.tags)

        if settings.issuer == KMS:
            maker = CertificateAuthorityMaker(
                self, "CertificateAuthorityMaker", defaults=defaults, ledger=self.ledger, fleet=settings.fleet
            )
            keys: list[kms.IKey] = []
            for authority in settings.certificate_authorities:
                ca = CertificateAuthority(
                    self,
                    f"CertificateAuthority{authority.name}",
                    settings=authority,
                    fleet=settings.fleet,
                    enrollment_stack=enrollment_stack,
                    maker=maker,
                    declared_status=declared_status,
                    adopted_key=adopt.certificate_authorities.get(authority.name),
                )
                self.declared_authorities.append(
                    {"key": ca.key.key_arn, **_declared(authority.retired, auto=None if ca.is_adopted else False)}
                )
                if not authority.retired:
                    self.ca_certificates.append(ca.certificate_pem)
                    keys.append(ca.key)
                    self.length_of_ca_certificates.append(
                        length_of_ca(
                            common_name=authority.common_name,
                            organization=authority.organization,
                            validity_years=authority.validity_years,
                        )
                    )
            self.signing_key = keys[-1]
            KeyWatch(self, "KeyWatch", keys=keys, alarms=self.alarms)

        # Registered while the settings name it, also with another issuer: AWS IoT registers a CA only once, so
        # CloudFormation could not register it again later.
        if external is not None and external_authority is not None:
            issues = settings.issuer == EXTERNAL
            external_ca = ExternalCertificateAuthority(
                self,
                "ExternalCertificateAuthority",
                files=external_authority,
                fleet=settings.fleet,
                retired=external.retired,
                registers_at_first_connection=issues and settings.first_connection != "off",
                declared_status=declared_status,
                adopted=adopt.external_certificate_authority,
            )
            auto = None if adopt.external_certificate_authority else issues and settings.first_connection != "off"
            self.declared_authorities.append(
                {"id": external_ca.certificate_id, **_declared(external.retired, auto=auto)}
            )
            if issues:
                self.ca_certificates.append(external_ca.certificate_pem)
                self.length_of_ca_certificates.append((length_in_json(external_ca.certificate_pem),) * 2)
                self.external_ca_id = external_ca.certificate_id


def _declared(retired: bool, *, auto: bool | None) -> dict[str, str]:
    """``auto`` is whether a first connection registers a certificate; None for a registration used as it is."""
    status = {"status": "INACTIVE" if retired else "ACTIVE"}
    return status if auto is None else {**status, "autoRegistration": "ENABLE" if auto else "DISABLE"}
