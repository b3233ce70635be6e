"""A CA of the fleet's own, whose key lives in AWS KMS and never leaves it."""

from dataclasses import replace

from aws_cdk import CustomResource, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.adoption import Placeholder
from infra.bundled_function import FunctionDefaults
from infra.custom_resource_provider import CustomResourceProvider
from infra.declared_status import DeclaredStatus
from infra.fleet_tag import fleet_tag
from infra.ledger_table import LedgerTable
from infra.settings import CertificateAuthority as CertificateAuthoritySettings
from infra.signing_access import deny_others_to_sign, tag_as_signer


class CertificateAuthorityMaker(CustomResourceProvider):
    """Makes CA certificates, signed in KMS. Each is made once and never changed."""

    def __init__(
        self, scope: Construct, construct_id: str, *, defaults: FunctionDefaults, ledger: LedgerTable, fleet: str
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            defaults=replace(defaults, environment={"LEDGER_TABLE": ledger.table.table_name}),
            handler="functions.handlers.certificate_authority.handler",
            service="certificate-authority",
            description="Makes a CA certificate and its verification certificate, signed in KMS",
        )
        tag_as_signer(self.role, fleet=fleet)
        ledger.grant(self.role, "GetItem", "PutItem")
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iot:GetRegistrationCode"],
                resources=["*"],  # the code is the account's: the action has no resource type
            )
        )
        acknowledge(
            self.role,
            {"AwsSolutions-IAM5[Resource::*]": "iot:GetRegistrationCode has no resource type."},
        )


class CertificateAuthority(Construct):
    """KMS key, CA certificate, and its registration with AWS IoT.

    All are retained: AWS IoT checks the CA's certificates against the registration as long as they are valid, also
    when the stack is deleted. A deployment that fails while making them leaves nothing behind.

    With an adopted key the ledger has the certificate, and AWS IoT the registration: both are used as they are.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: CertificateAuthoritySettings,
        fleet: str,
        enrollment_stack: str,
        maker: CertificateAuthorityMaker,
        declared_status: DeclaredStatus,
        adopted_key: str | None = None,
    ) -> None:
        """``adopted_key`` is the ARN of the key of this CA that an earlier deployment left."""
        super().__init__(scope, construct_id)

        self.is_adopted = adopted_key is not None
        if adopted_key is not None:
            Placeholder(self, "Key")
            self.key: kms.IKey = kms.Key.from_key_arn(self, "AdoptedKey", adopted_key)
        else:
            self.key = key = kms.Key(
                self,
                "Key",
                description=f"Signs device certificates: {settings.common_name} ({settings.name})",
                key_spec=kms.KeySpec.ECC_NIST_P256,
                key_usage=kms.KeyUsage.SIGN_VERIFY,
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            )
            deny_others_to_sign(key, fleet=fleet, enrollment_stack=enrollment_stack)
            key.grant(maker.role, "kms:GetPublicKey", "kms:Sign")

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
                **({} if adopted_key is None else {"Adopted": "true"}),
            },
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.certificate_pem = certificate.get_att_string("CertificatePem")

        if adopted_key is not None:
            return  # AWS IoT takes a CA once, and the maker has no permission on this key

        # Made after the certificate, so the maker may sign with the key until its CA exists, and never again.
        made = iam.Policy(
            self,
            "MakerSignsNoMore",
            roles=[maker.role],
            statements=[
                iam.PolicyStatement(effect=iam.Effect.DENY, actions=["kms:Sign"], resources=[self.key.key_arn])
            ],
        )
        made.node.add_dependency(certificate)
        registration = iot.CfnCACertificate(
            self,
            "Registration",
            ca_certificate_pem=self.certificate_pem,
            verification_certificate_pem=certificate.get_att_string("VerificationCertificatePem"),
            certificate_mode="DEFAULT",
            # CloudFormation sends the status with each update: what is not said here would not last.
            status="INACTIVE" if settings.retired else "ACTIVE",
            auto_registration_status="DISABLE",  # the enroll function registers what it has signed
            tags=[fleet_tag(fleet)],
        )
        registration.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        declared_status.guard(self, registration, setting=f'the CA "{settings.name}" of certificateAuthorities')
