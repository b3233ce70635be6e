"""A CA of the fleet's own, whose key lives in AWS KMS and never leaves it."""

from typing import cast

from aws_cdk import CfnElement, CustomResource, Duration, RemovalPolicy, Stack, custom_resources
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundled_function import BundledFunction, FunctionCode, FunctionRole, LogGroup
from infra.ledger_table import LedgerTable
from infra.settings import CertificateAuthority as CertificateAuthoritySettings


class CertificateAuthorityMaker(Construct):
    """The custom resource's provider: makes CA certificates, signed in KMS, each once and for ever.

    The provider framework answers CloudFormation even when the handler cannot be imported or times out, so
    that a deployment fails at once and with the reason.
    """

    def __init__(self, scope: Construct, construct_id: str, *, code: FunctionCode, ledger: LedgerTable) -> None:
        super().__init__(scope, construct_id)

        maker = BundledFunction(
            self,
            "Handler",
            code=code,
            handler="functions.handlers.certificate_authority.handler",
            description="Makes a CA certificate and its verification certificate, signed in KMS",
            environment={
                "LEDGER_TABLE": ledger.table.table_name,
                "POWERTOOLS_SERVICE_NAME": "certificate-authority",
                "POWERTOOLS_LOG_LEVEL": "INFO",
            },
            timeout=Duration.minutes(2),
        )
        ledger.grant(maker.role, "GetItem", "PutItem")
        maker.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iot:GetRegistrationCode"],
                resources=["*"],  # the code is the account's: the action has no resource type
            )
        )
        acknowledge(
            maker.role,
            {"AwsSolutions-IAM5[Resource::*]": "iot:GetRegistrationCode has no resource type."},
        )

        framework_logs = LogGroup(self, "FrameworkLogs", retention_days=code.log_retention_days).group
        framework_role = FunctionRole(self, "FrameworkExecution", log_group=framework_logs).role
        handler_id = Stack.of(self).get_logical_id(cast(CfnElement, maker.function.node.default_child))
        acknowledge(
            framework_role,
            {f"AwsSolutions-IAM5[Resource::<{handler_id}.Arn>:*]": "Versions of the one function that it calls."},
        )
        self.role = maker.role
        self.service_token = custom_resources.Provider(
            self,
            "Provider",
            on_event_handler=maker.function,
            framework_on_event_role=framework_role,
            log_group=framework_logs,
        ).service_token


class CertificateAuthority(Construct):
    """KMS key, CA certificate, and its registration with AWS IoT.

    All are retained: certificates that the CA signed are checked against the registration for as long as they
    live, whatever becomes of the stack. A deployment that fails while making them leaves nothing behind.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: CertificateAuthoritySettings,
        maker: CertificateAuthorityMaker,
    ) -> None:
        super().__init__(scope, construct_id)

        self.key = kms.Key(
            self,
            "Key",
            description=f"Signs device certificates: {settings.common_name} ({settings.name})",
            key_spec=kms.KeySpec.ECC_NIST_P256,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.key.grant(maker.role, "kms:GetPublicKey", "kms:Sign")

        certificate = CustomResource(
            self,
            "Certificate",
            resource_type="Custom::CertificateAuthority",
            service_token=maker.service_token,
            properties={
                "Name": settings.name,
                "KeyArn": self.key.key_arn,
                "CommonName": settings.common_name,
                "Organization": settings.organization,
                "ValidityYears": settings.validity_years,
            },
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.certificate_pem = certificate.get_att_string("CertificatePem")

        registration = iot.CfnCACertificate(
            self,
            "Registration",
            ca_certificate_pem=self.certificate_pem,
            verification_certificate_pem=certificate.get_att_string("VerificationCertificatePem"),
            certificate_mode="DEFAULT",
            status="ACTIVE",
            auto_registration_status="DISABLE",  # the enroll function registers what it has signed
        )
        registration.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
