"""The settings of a deployment: the object ``zymkey-fleet`` in cdk.json's context, typed and checked.

Each setting can be overridden for one run: ``cdk deploy -c zymkey-fleet.issuer=aws``, also inside an object:
``-c zymkey-fleet.topics.publish='["devices/{device}/*"]'``. The value is JSON if it parses as JSON, else a string.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra import account_rules
from infra.adoption import Adoption, check_adoption, read_adoption
from infra.alarm_settings import (
    AlarmThresholds,
    a_runbook_url,
    alarm_thresholds,
    an_alarm_email,
    an_alarm_topic,
    refuse_two_receivers,
)
from infra.credential_settings import CredentialSettings, read_credentials, role_alias
from infra.device_defender_settings import DeviceDefenderSettings, read_device_defender
from infra.domain import Domain, a_domain, check_names, former_domains
from infra.policy_document import ALLOW, MAX_LENGTH, MQTT_WITHOUT_THING, longest_length
from infra.setting_readers import (
    Reader,
    SettingsError,
    a_choice,
    a_common_name,
    a_name,
    a_text,
    a_truth,
    a_whole_number,
    a_whole_number_or_null,
    an_object,
    shown,
    wrong,
)
from infra.things import ThingSettings, read_things
from infra.topics import Topics, template_problem
from pki.issuers import EXTERNAL, ISSUERS, KMS

CONTEXT_KEY = "zymkey-fleet"

SUBJECT_KEYS = ("C", "ST", "L", "O", "OU")

# The retention periods that CloudWatch Logs offers (PutRetentionPolicy).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

# What AWS IoT logs, from least to most (AWS::IoT::Logging, DefaultLogLevel).
IOT_LOG_LEVELS = ("off", "ERROR", "WARN", "INFO", "DEBUG")


@dataclass(frozen=True, kw_only=True)
class CertificateAuthority:
    """A CA whose key is in KMS. ``name`` distinguishes it from its successors; devices never see it.

    A ``retired`` one is declared INACTIVE, and issues no more.
    """

    name: str
    common_name: str
    organization: str
    validity_years: int
    retired: bool = False


@dataclass(frozen=True, kw_only=True)
class ExternalCertificateAuthority:
    """A CA whose key is outside AWS, as paths of PEM files.

    With ``verification_certificate`` AWS IoT registers it in DEFAULT mode, without it in SNI_ONLY mode.
    """

    certificate: Path
    verification_certificate: Path | None
    retired: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one deployment. The defaults are those of a new fleet."""

    fleet: str = "zymkey"
    issuer: str = KMS
    certificate_authorities: tuple[CertificateAuthority, ...] = (
        CertificateAuthority(
            name="2026", common_name="zymkey fleet CA", organization="zymkey fleet", validity_years=20
        ),
    )
    external_certificate_authority: ExternalCertificateAuthority | None = None
    certificate_validity_days: int = 365
    renewal_grace_days: int = 7
    certificates_per_key_and_day: int = 10
    expired_grace_days: int | None = None
    delete_after_days: int = 30
    certificate_subject: Mapping[str, str] = field(default_factory=dict)
    topics: Topics = field(default_factory=Topics)
    uninvited: str = "refuse"
    first_connection: str = "known-keys"
    architecture: str = "arm64"
    bundle_for: str = "lambda"
    log_retention_days: int = 90
    termination_protection: bool = True
    adopt: Adoption = field(default_factory=Adoption)
    domain: Domain | None = None
    former_domains: tuple[Domain, ...] = ()
    alarm_topic_arn: str | None = None
    alarm_email: str | None = None
    alarm_thresholds: AlarmThresholds = field(default_factory=AlarmThresholds)
    runbook_url: str = "docs/runbook.md"
    iot_logging: str = "off"
    device_defender: DeviceDefenderSettings | None = None
    credentials: CredentialSettings | None = None
    mqtt_without_thing: str = ALLOW
    things: ThingSettings | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    access_log_group: str | None = None
    reserved_concurrency: int | None = None
    registrations_per_second: int | None = None

    @property
    def domains(self) -> tuple[Domain, ...]:
        """All that lead to the enrollment API, the one that is announced first."""
        return self.former_domains if self.domain is None else (self.domain, *self.former_domains)

    @staticmethod
    def from_context(context: Mapping[str, Any]) -> "Settings":
        """Read the settings from an app's whole context (``node.get_all_context()``).

        Raises:
            SettingsError: a name is unknown or a value is not allowed.
        """
        return _read(_overridden(context))


def _overridden(context: Mapping[str, Any]) -> dict[str, Any]:
    """The object of settings, with the overrides of the command line (dotted names) put in."""
    values = context.get(CONTEXT_KEY, {})
    if not isinstance(values, dict):
        raise SettingsError(f"{CONTEXT_KEY} is {shown(values)}, but must be an object of settings.")
    values = copy.deepcopy(values)
    for key in sorted(context):
        if not key.startswith(f"{CONTEXT_KEY}."):
            continue
        *parents, last = key.removeprefix(f"{CONTEXT_KEY}.").split(".")
        target = values
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[last] = _parsed(context[key])
    return values


def _parsed(value: Any) -> Any:
    """A value of the command line: what its JSON says if it is JSON, else the string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _read(values: dict[str, Any]) -> Settings:
    settings = Settings(
        **an_object(
            CONTEXT_KEY,
            values,
            {
                "fleet": (
                    "fleet",
                    a_text(r"[A-Za-z][A-Za-z0-9-]{0,30}", "1 to 31 letters, digits and -, a letter first"),
                ),
                "issuer": ("issuer", a_choice(*ISSUERS)),
                "certificateAuthorities": ("certificate_authorities", _certificate_authorities),
                "externalCertificateAuthority": ("external_certificate_authority", _external_certificate_authority),
                "certificateValidityDays": ("certificate_validity_days", a_whole_number(1, 3650)),
                "renewalGraceDays": ("renewal_grace_days", a_whole_number(1, 365)),
                "certificatesPerKeyAndDay": ("certificates_per_key_and_day", a_whole_number(1, 1000)),
                "expiredGraceDays": ("expired_grace_days", a_whole_number_or_null(0, 3650)),
                "deleteAfterDays": ("delete_after_days", a_whole_number(1, 3650)),
                "certificateSubject": ("certificate_subject", _subject),
                "topics": ("topics", _topics),
                "uninvited": ("uninvited", a_choice("refuse", "approve")),
                "firstConnection": ("first_connection", a_choice("known-keys", "any", "off")),
                "architecture": ("architecture", a_choice("arm64", "x86_64")),
                "bundleFor": ("bundle_for", a_choice("lambda", "host")),
                "logRetentionDays": ("log_retention_days", a_choice(*LOG_RETENTION_DAYS)),
                "tags": ("tags", account_rules.tags),
                "permissionsBoundary": ("permissions_boundary", account_rules.permissions_boundary),
                "accessLogGroup": ("access_log_group", account_rules.access_log_group),
                "reservedConcurrency": ("reserved_concurrency", account_rules.reserved_concurrency),
                "registrationsPerSecond": ("registrations_per_second", account_rules.registrations_per_second),
                "terminationProtection": ("termination_protection", a_truth),
                "adopt": ("adopt", read_adoption),
                "domain": ("domain", a_domain),
                "formerDomains": ("former_domains", former_domains),
                "alarmTopicArn": ("alarm_topic_arn", an_alarm_topic),
                "alarmEmail": ("alarm_email", an_alarm_email),
                "alarmThresholds": ("alarm_thresholds", alarm_thresholds),
                "runbookUrl": ("runbook_url", a_runbook_url),
                "iotLogging": ("iot_logging", a_choice(*IOT_LOG_LEVELS)),
                "deviceDefender": ("device_defender", read_device_defender),
                "credentials": ("credentials", read_credentials),
                "things": ("things", read_things),
                "mqttWithoutThing": ("mqtt_without_thing", a_choice(*MQTT_WITHOUT_THING)),
            },
        )
    )
    settings = replace(settings, topics=settings.topics.of_fleet(settings.fleet))
    _check_length(f"{CONTEXT_KEY}.topics", settings.topics)
    if settings.issuer == EXTERNAL and settings.external_certificate_authority is None:
        raise SettingsError(
            f"{CONTEXT_KEY}.externalCertificateAuthority is null, but must name the CA certificate's file "
            f"when {CONTEXT_KEY}.issuer is {EXTERNAL}."
        )
    fleet = None if settings.credentials is None else settings.fleet
    if fleet is not None:
        _check_length(f"{CONTEXT_KEY}.topics with {CONTEXT_KEY}.credentials", settings.topics, fleet)
    if (choice := settings.mqtt_without_thing) != ALLOW:
        where = f"{CONTEXT_KEY}.topics with {CONTEXT_KEY}.mqttWithoutThing {shown(choice)}"
        _check_length(where, settings.topics, fleet, mqtt_without_thing=choice)
    check_adoption(
        f"{CONTEXT_KEY}.adopt",
        settings.adopt,
        authorities=[authority.name for authority in settings.certificate_authorities],
        has_external=settings.external_certificate_authority is not None,
    )
    check_names(settings.domains)
    _refuse_retired_issuer(settings)
    refuse_two_receivers(CONTEXT_KEY, topic_arn=settings.alarm_topic_arn, email=settings.alarm_email)
    return settings


def _refuse_retired_issuer(settings: Settings) -> None:
    if settings.issuer == KMS and all(authority.retired for authority in settings.certificate_authorities):
        raise SettingsError(
            f"{CONTEXT_KEY}.certificateAuthorities has no CA that is not retired, but {CONTEXT_KEY}.issuer is {KMS}: "
            "add another CA after the others, under a new name."
        )
    external = settings.external_certificate_authority
    if settings.issuer == EXTERNAL and external is not None and external.retired:
        raise SettingsError(
            f"{CONTEXT_KEY}.externalCertificateAuthority.retired is true, but {CONTEXT_KEY}.issuer is {EXTERNAL}: "
            "name the files of another CA and leave out retired, or choose another issuer."
        )


def _certificate_authorities(where: str, value: Any) -> tuple[CertificateAuthority, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 3:
        raise wrong(where, value, "a list of one to three CAs, oldest first")
    readers: dict[str, tuple[str, Reader]] = {
        "name": ("name", a_text(r"[A-Za-z0-9]{1,32}", "1 to 32 letters and digits")),
        "commonName": ("common_name", a_common_name),
        "organization": ("organization", a_text(r"[^\x00-\x1f\x7f]{0,64}", "a string of at most 64 characters")),
        "validityYears": ("validity_years", a_whole_number(1, 50)),
        "retired": ("retired", a_truth),
    }
    optional: dict[str, Any] = {"organization": "", "retired": False}
    authorities = []
    for position, member in enumerate(value):
        fields = optional | an_object(f"{where}[{position}]", member, readers)
        for name, (python_name, _) in readers.items():
            if python_name not in fields:
                raise SettingsError(f"{where}[{position}].{name} is missing, but every CA must have it.")
        authorities.append(CertificateAuthority(**fields))
    names = [authority.name for authority in authorities]
    if len(set(names)) < len(names):
        raise SettingsError(f"{where} has the names {', '.join(names)}, but each CA must have a name of its own.")
    return tuple(authorities)


def _external_certificate_authority(where: str, value: Any) -> ExternalCertificateAuthority | None:
    if value is None:
        return None
    path = a_text(r"[^\x00]+", "the path of a PEM file")
    fields = an_object(
        where,
        value,
        {
            "certificate": ("certificate", path),
            "verificationCertificate": (
                "verification_certificate",
                lambda where, value: None if value is None else path(where, value),
            ),
            "retired": ("retired", a_truth),
        },
    )
    if "certificate" not in fields:
        raise SettingsError(f"{where}.certificate is missing, but must be the path of the CA certificate's PEM file.")
    verification = fields.get("verification_certificate")
    return ExternalCertificateAuthority(
        certificate=Path(fields["certificate"]),
        verification_certificate=None if verification is None else Path(verification),
        retired=fields.get("retired", False),
    )


def _subject(where: str, value: Any) -> dict[str, str]:
    country = a_text(r"[A-Z]{2}", "two capital letters (ISO 3166)")
    return an_object(where, value, {key: (key, country if key == "C" else a_name) for key in SUBJECT_KEYS})


def _topics(where: str, value: Any) -> Topics:
    topics = Topics(**an_object(where, value, {name: (name, _topic_templates) for name in ("publish", "subscribe")}))
    if not topics.publish:
        raise SettingsError(f"{where}.publish is [], but must have at least one topic: a bootstrap publishes.")
    return topics


def _check_length(where: str, topics: Topics, fleet: str | None = None, *, mqtt_without_thing: str = ALLOW) -> None:
    """``fleet`` is given when its devices get AWS credentials, which take a statement of the policy."""
    alias = None if fleet is None else role_alias(fleet)
    if (length := longest_length(topics, role_alias=alias, mqtt_without_thing=mqtt_without_thing)) > MAX_LENGTH:
        raise SettingsError(
            f"{where} makes an IoT policy of up to {length} characters, but it must be at most {MAX_LENGTH}: "
            "use fewer or shorter topics, or a common prefix with *."
        )


def _topic_templates(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(template, str) for template in value):
        raise wrong(where, value, "a list of topics like devices/{device}/*")
    for position, template in enumerate(value):
        if problem := template_problem(template):
            raise SettingsError(f"{where}[{position}] is {shown(template)}, but {problem}.")
    return tuple(value)
