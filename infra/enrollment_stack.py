"""The stack that can be replaced: what devices enroll through. An enrolled device needs it only to renew."""

import json
from dataclasses import replace

from aws_cdk import CfnOutput, Duration, Stack
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionDefaults
from infra.daily_audit import DailyAudit
from infra.device_defender import DeviceDefender
from infra.domain import check_region
from infra.enrollment_api import CONFIGURATION_ROUTE, EST_ROUTES, UPLOAD_ROUTE, EnrollmentApi
from infra.enrollment_domain import EnrollmentDomain
from infra.first_connection import FirstConnection
from infra.iot_logging import IotLogging
from infra.monitoring import Monitoring
from infra.permissions_boundary import bound_roles
from infra.region import known_region
from infra.registration_access import grant_activation, grant_creation, grant_switching
from infra.seen import Seen
from infra.settings import Settings
from infra.signing_access import tag_as_signer
from infra.superseded_sweep import SupersededSweep
from infra.trust_stack import TrustStack
from pki.issuers import EXTERNAL


class EnrollmentStack(Stack):
    """HTTP API and enroll function, sweep, monitoring; with an external CA, just-in-time registration."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, trust: TrustStack, defaults: FunctionDefaults
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"{settings.fleet}: where devices get their certificates",
            termination_protection=settings.termination_protection,
            tags=settings.tags,
        )
        bound_roles(self, settings.permissions_boundary)
        self.add_stack_dependency(trust)
        for each in settings.domains:
            check_region(each, known_region(self))

        defaults = replace(
            defaults,
            environment=_environment(settings, trust),
            unknown={
                "CA_CERTIFICATES": (
                    sum(least for least, _ in trust.length_of_ca_certificates),
                    sum(most for _, most in trust.length_of_ca_certificates),
                )
            },
        )
        enroll = BundledFunction(
            self,
            "Enroll",
            defaults=defaults,
            handler="functions.handlers.http_api.handler",
            service="enrollment",
            description="Enrolls devices: EST and the configuration document",
            timeout=Duration.seconds(20),
            reserved_concurrency=settings.reserved_concurrency,
        )
        api = EnrollmentApi(
            self,
            "Api",
            function=enroll.function,
            routes=(*EST_ROUTES, CONFIGURATION_ROUTE, *([UPLOAD_ROUTE] if settings.issuer == EXTERNAL else [])),
            log_retention_days=defaults.log_retention_days,
            access_log_group=settings.access_log_group,
        )
        # Known by their names, so that one stays what it is when another takes its place as the one that is announced.
        domains = {
            each.name: EnrollmentDomain(self, each.name, domain=each, api_id=api.api.api_id, stage=api.stage)
            for each in settings.domains
        }
        superseded = SupersededSweep(self, "Superseded", defaults=defaults, grace_days=settings.renewal_grace_days)
        seen = Seen(self, "Seen", defaults=defaults, confirm=trust.device_policy.lifecycle.confirm)
        declared = self.to_json_string(
            {"policy": trust.device_policy.digest, "authorities": trust.declared_authorities}
        )
        audit = DailyAudit(
            self,
            "Audit",
            defaults=defaults,
            ledger=trust.ledger,
            device_policy=trust.device_policy.policy_name,
            declared=declared,
            things=settings.things,
            grace_days=settings.renewal_grace_days,
            delete_after_days=settings.delete_after_days,
        )
        functions = {
            "Enroll": enroll.function,
            "Superseded": superseded.sweep.function,
            "Seen": seen.seen.function,
            "Audit": audit.audit.function,
        }

        trust.ledger.grant(enroll.role, "GetItem", "PutItem", "Query", "UpdateItem")
        if trust.signing_key is not None:
            trust.signing_key.grant(enroll.role, "kms:Sign")
            tag_as_signer(enroll.role, fleet=settings.fleet)
        grant_creation(enroll.role, issuer=settings.issuer)
        grant_activation(enroll.role, things=settings.things)

        trust.ledger.grant(superseded.sweep.role, "BatchGetItem", "GetItem", "PutItem", "Query", "UpdateItem")
        trust.ledger.grant_listing(superseded.sweep.role)
        grant_switching(superseded.sweep.role)

        trust.ledger.grant(seen.seen.role, "GetItem", "PutItem", "Query", "UpdateItem")
        grant_switching(seen.seen.role)

        if trust.external_ca_id is not None and settings.first_connection != "off":
            first = FirstConnection(
                self,
                "FirstConnection",
                defaults=defaults,
                certificate_authority_id=trust.external_ca_id,
                admission=settings.first_connection,
            )
            functions["FirstConnection"] = first.activate.function
            trust.ledger.grant(first.activate.role, "GetItem", "PutItem", "Query", "UpdateItem")
            # ``firstConnection: any`` lets a key in, and so answers its request for approval, if it has made one.
            trust.ledger.grant_on_keys(first.activate.role, ["requests"], "DeleteItem")
            grant_activation(first.activate.role, things=settings.things)

        Monitoring(
            self,
            "Monitoring",
            fleet=settings.fleet,
            alarms=trust.alarms,
            thresholds=settings.alarm_thresholds,
            api=api.api,
            functions=functions,
        )
        if settings.iot_logging != "off":
            IotLogging(self, "IotLogging", level=settings.iot_logging)
        if settings.device_defender is not None:
            DeviceDefender(self, "DeviceDefender", settings=settings.device_defender)

        for name, value in {
            "EnrollmentUrl": api.url if settings.domain is None else settings.domain.url,
            "ApiUrl": api.url,
            **({} if settings.domain is None else {"DomainTarget": domains[settings.domain.name].target}),
            "LedgerTable": trust.ledger.table.table_name,
            "IotPolicy": trust.device_policy.policy_name,
            **trust.people.policy_arns,
            "Issuer": settings.issuer,
            "Fleet": settings.fleet,
            **({} if trust.credentials is None else {"DeviceRoleArn": trust.credentials.role_arn}),
            "MqttWithoutThing": settings.mqtt_without_thing,
            "Declared": declared,
            "DeleteAfterDays": str(settings.delete_after_days),
            **({} if settings.things is None else {"Things": json.dumps(settings.things.document())}),
            **(
                {}
                if trust.device_policy.lifecycle.renew is None
                else {"RenewalTopic": trust.device_policy.lifecycle.renew}
            ),
        }.items():
            CfnOutput(self, name, value=value)


def _environment(settings: Settings, trust: TrustStack) -> dict[str, str]:
    """What ``functions/deployment.py`` reads."""
    return {
        "FLEET": settings.fleet,
        "ISSUER": settings.issuer,
        "LEDGER_TABLE": trust.ledger.table.table_name,
        "IOT_POLICY": trust.device_policy.policy_name,
        "CA_CERTIFICATES": "\n".join(trust.ca_certificates),
        **({} if trust.signing_key is None else {"CA_KEY_ARN": trust.signing_key.key_arn}),
        "CERTIFICATE_SUBJECT": json.dumps(settings.certificate_subject),
        "CERTIFICATE_VALIDITY_DAYS": str(settings.certificate_validity_days),
        "CERTIFICATES_PER_KEY_AND_DAY": str(settings.certificates_per_key_and_day),
        **({} if settings.expired_grace_days is None else {"EXPIRED_GRACE_DAYS": str(settings.expired_grace_days)}),
        "TOPICS": json.dumps({"publish": settings.topics.publish, "subscribe": settings.topics.subscribe}),
        "LIFECYCLE": json.dumps(trust.device_policy.lifecycle.document()),
        "UNINVITED": settings.uninvited,
        **({} if settings.things is None else {"THINGS": json.dumps(settings.things.document())}),
        **({} if settings.domain is None else {"ENROLLMENT_URL": settings.domain.url}),
        **(
            {}
            if settings.registrations_per_second is None
            else {"REGISTRATIONS_PER_SECOND": str(settings.registrations_per_second)}
        ),
        **({} if trust.credentials is None else {"ROLE_ALIAS": trust.credentials.role_alias}),
    }
