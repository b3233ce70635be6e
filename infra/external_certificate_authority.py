"""The registration of the external CA with AWS IoT; the CA's key stays where it is."""

from aws_cdk import Annotations, CfnWaitConditionHandle, RemovalPolicy
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.declared_status import DeclaredStatus
from infra.external_authority_files import AuthorityFiles
from infra.fleet_tag import fleet_tag


class ExternalCertificateAuthority(Construct):
    """The registration. Retained: the CA's certificates stay in use, also when another CA replaces it.

    Without a verification certificate the mode is SNI_ONLY. CloudFormation's published handler does not pass the mode
    on to AWS IoT, which then requires the verification certificate, and the deployment fails: prefer DEFAULT.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        files: AuthorityFiles,
        fleet: str,
        retired: bool,
        registers_at_first_connection: bool,
        declared_status: DeclaredStatus,
        adopted: str | None = None,
    ) -> None:
        """``adopted`` is the AWS IoT id of the registration that an earlier deployment left, used as it is."""
        super().__init__(scope, construct_id)

        self.certificate_pem = files.certificate_pem
        if adopted is not None:
            CfnWaitConditionHandle(self, "Registration")  # see infra.adoption
            self.certificate_id = adopted
            return
        if files.is_verification_expired:
            Annotations.of(self).add_warning_v2(
                "zymkey-fleet:expiredVerificationCertificate",
                "The verification certificate of externalCertificateAuthority has expired. If AWS IoT has registered "
                "the CA with it, leave it as it is. For a first registration, have the CA sign another one "
                "(zymkey-fleet ca verification-csr).",
            )
        registration = iot.CfnCACertificate(
            self,
            "Registration",
            ca_certificate_pem=files.certificate_pem,
            verification_certificate_pem=files.verification_pem,
            certificate_mode="DEFAULT" if files.verification_pem else "SNI_ONLY",
            status="INACTIVE" if retired else "ACTIVE",  # sent with each update: what is not said here does not last
            auto_registration_status="ENABLE" if registers_at_first_connection else "DISABLE",
            tags=[fleet_tag(fleet)],
        )
        registration.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        declared_status.guard(self, registration, setting="externalCertificateAuthority")
        self.certificate_id = registration.attr_id
