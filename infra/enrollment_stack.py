"""The stack that can be replaced: what devices enroll through. Nothing in it is needed once they have."""

import json

from aws_cdk import CfnOutput, Duration, Fn, Stack
from constructs import Construct

from infra.bundled_function import BundledFunction, FunctionCode
from infra.enrollment_api import CONFIGURATION_ROUTE, EST_ROUTES, EnrollmentApi
from infra.monitoring import Monitoring
from infra.registration_access import grant_registration
from infra.settings import Settings
from infra.trust_stack import TrustStack


class EnrollmentStack(Stack):
    """HTTP API, enroll function, monitoring."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        trust: TrustStack,
        code: FunctionCode,
    ) -> None:
        super().__init__(scope, construct_id, description=f"{settings.fleet}: where devices get their certificates")
        self.add_stack_dependency(trust)

        enroll = BundledFunction(
            self,
            "Enroll",
            code=code,
            handler="infra.functions.http_api.handler",
            description="Enrolls devices: EST and the configuration document",
            environment=_environment(settings, trust),
            timeout=Duration.seconds(20),
        )
        api = EnrollmentApi(
            self,
            "Api",
            function=enroll.function,
            routes=(*EST_ROUTES, CONFIGURATION_ROUTE),
            log_retention_days=code.log_retention_days,
        )
        Monitoring(self, "Monitoring", api=api.api, functions={"Enroll": enroll.function})

        trust.ledger.grant(enroll.role, "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
        trust.ledger.grant_listing(enroll.role)
        if trust.certificate_authorities:
            trust.certificate_authorities[-1].key.grant(enroll.role, "kms:Sign")
        grant_registration(enroll.role, issuer=settings.issuer)

        for name, value in {
            "EnrollmentUrl": api.url,
            "LedgerTable": trust.ledger.table.table_name,
            "IotPolicy": trust.device_policy.policy_name,
            "Issuer": settings.issuer,
            "Fleet": settings.fleet,
        }.items():
            CfnOutput(self, name, value=value)


def _environment(settings: Settings, trust: TrustStack) -> dict[str, str]:
    """What ``infra/functions/environment.py`` reads."""
    authorities = trust.certificate_authorities
    environment = {
        "FLEET": settings.fleet,
        "ISSUER": settings.issuer,
        "LEDGER_TABLE": trust.ledger.table.table_name,
        "IOT_POLICY": trust.device_policy.policy_name,
        "CA_CERTIFICATES": Fn.join("\n", [authority.certificate_pem for authority in authorities]),
        "CERTIFICATE_SUBJECT": json.dumps(settings.certificate_subject),
        "CERTIFICATE_VALIDITY_DAYS": str(settings.certificate_validity_days),
        "TOPICS": json.dumps({"publish": settings.topics.publish, "subscribe": settings.topics.subscribe}),
        "UNINVITED": settings.uninvited,
        "POWERTOOLS_SERVICE_NAME": "enrollment",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    if authorities:
        environment["CA_KEY_ARN"] = authorities[-1].key.key_arn
    return environment
