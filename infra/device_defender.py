"""AWS IoT Device Defender's own audit of the account and Region, on a schedule.

It knows neither the ledger nor whose a certificate is, which is what the daily audit is for; it looks at what that does
not: the quality of keys, clients that share a certificate, policies and roles that allow too much. docs/operator.md
says which of its findings are expected here.
"""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.device_defender_settings import DeviceDefenderSettings
from infra.registration_access import SHOWN_ARN, iot_arn

# The checks, by the names of the account's configuration; all but those of Amazon Cognito, which no device here uses.
CHECKS = {
    "ca_certificate_expiring_check": "CA_CERTIFICATE_EXPIRING_CHECK",
    "ca_certificate_key_quality_check": "CA_CERTIFICATE_KEY_QUALITY_CHECK",
    "conflicting_client_ids_check": "CONFLICTING_CLIENT_IDS_CHECK",
    "device_certificate_expiring_check": "DEVICE_CERTIFICATE_EXPIRING_CHECK",
    "device_certificate_key_quality_check": "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK",
    "device_certificate_shared_check": "DEVICE_CERTIFICATE_SHARED_CHECK",
    "iot_policy_overly_permissive_check": "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
    "iot_role_alias_allows_access_to_unused_services_check": "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK",
    "iot_role_alias_overly_permissive_check": "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK",
    "logging_disabled_check": "LOGGING_DISABLED_CHECK",
    "revoked_ca_certificate_still_active_check": "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK",
    "revoked_device_certificate_still_active_check": "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK",
}


class DeviceDefender(Construct):
    """The schedule, and with ``account_configuration`` what an account needs once before any: checks and a role.

    That configuration is one for each account and Region, like AWS IoT's log: CloudFormation does not take over one
    that is there, and when it deletes this, the configuration goes back to AWS's defaults, every check off, for whoever
    else uses it. (Whether schedules of others go with it is written nowhere: DeleteAccountAuditConfiguration leaves
    that to the caller.) Therefore ``accountConfiguration: false`` where another stack has it, which has to have these
    checks enabled, or the schedule fails. Both resources hold no state: findings stay 90 days in AWS IoT by themselves.
    A change of the day or of the checks is an update, not a replacement; the schedule's name is generated.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: DeviceDefenderSettings) -> None:
        super().__init__(scope, construct_id)

        schedule = iot.CfnScheduledAudit(
            self,
            "Schedule",
            frequency=settings.frequency,
            day_of_week=settings.day_of_week,
            day_of_month=settings.day_of_month,
            target_check_names=sorted(CHECKS.values()),
        )
        if settings.account_configuration:
            enabled: Any = iot.CfnAccountAuditConfiguration.AuditCheckConfigurationProperty(enabled=True)
            role = self._role()
            configuration = iot.CfnAccountAuditConfiguration(
                self,
                "AccountConfiguration",
                account_id=Stack.of(self).account,
                role_arn=role.role_arn,
                audit_check_configurations=iot.CfnAccountAuditConfiguration.AuditCheckConfigurationsProperty(
                    **dict.fromkeys(CHECKS, enabled)
                ),
            )
            configuration.node.add_dependency(role)  # and on its policy
            schedule.node.add_dependency(configuration)

    def _role(self) -> iam.Role:
        """What the managed policy AWSIoTDeviceDefenderAudit allows, without Cognito: an audit reads all of a Region."""
        stack = Stack.of(self)
        beginning = iot_arn(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "iot.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": f"{beginning}:*"},
                },
            ),
        )
        # These actions have no resource type: only * is possible.
        unlimited = [
            *("iot:GetLoggingOptions", "iot:GetV2LoggingOptions", "iot:ListCACertificates", "iot:ListCertificates"),
            *("iot:ListPolicies", "iot:ListRoleAliases", "iam:GetServiceLastAccessedDetails"),
        ]
        roles, policies = f"arn:{stack.partition}:iam::{stack.account}:role/*", f"arn:{stack.partition}:iam::*:policy/*"
        for actions, resources in (
            (["iot:DescribeCACertificate"], [f"{beginning}:cacert/*"]),
            (["iot:DescribeCertificate", "iot:GetEffectivePolicies"], [f"{beginning}:cert/*"]),
            (["iot:GetPolicy"], [f"{beginning}:policy/*"]),
            (["iot:DescribeRoleAlias"], [f"{beginning}:rolealias/*"]),
            # Roles of role aliases: any of the account, with any policy of the account's or of AWS's.
            (
                [
                    *("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"),
                    "iam:GenerateServiceLastAccessedDetails",
                ],
                [roles],
            ),
            (["iam:GetPolicy", "iam:GetPolicyVersion"], [policies]),
            (unlimited, ["*"]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        why = "Device Defender audits every certificate, policy and role alias of the account; it reads, and no more."
        shown_iam = SHOWN_ARN.replace(":iot:<AWS::Region>:<AWS::AccountId>", ":iam::")
        acknowledge(
            role,
            {
                **{
                    f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:{kind}/*]": why
                    for kind in ("cacert", "cert", "policy", "rolealias")
                },
                f"AwsSolutions-IAM5[Resource::{shown_iam}<AWS::AccountId>:role/*]": why,
                f"AwsSolutions-IAM5[Resource::{shown_iam}*:policy/*]": why,
                "AwsSolutions-IAM5[Resource::*]": "These actions have no resource type.",
            },
        )
        return role
