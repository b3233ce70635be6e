"""The IoT policy that is attached to every device's certificate."""

from aws_cdk import Annotations, CfnWaitConditionHandle, RemovalPolicy, Stack
from aws_cdk import aws_iot as iot
from constructs import Construct

from infra.adopted_policy import AdoptedPolicy
from infra.bundled_function import FunctionDefaults
from infra.policy_document import DIGESTED_PREFIX, digest_of, lifecycle_that_fits, policy_document
from infra.topics import Topics

_WITHOUT_RENEW = (
    "The topics of the settings leave no room in the IoT policy for the topic by which devices hear of "
    "`zymkey-fleet renew` at once: they hear of it when their timer asks, within a day."
)
_WITHOUT_CONFIRM = (
    "The topics of the settings leave no room in the IoT policy for the topics of the certificates' life: after a "
    "renewal over HTTPS the old certificate is switched off when renewalGraceDays are over, and devices hear of "
    "`zymkey-fleet renew` when their timer asks, within a day."
)


class DevicePolicy(Construct):
    """An ``AWS::IoT::Policy``. A change of topics makes a new version, for all devices at once.

    Attributes:
        lifecycle: the fleet's own topics that the policy allows.
        digest: of the document, for who looks whether it is still the one in effect.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        fleet: str,
        topics: Topics,
        mqtt_without_thing: str,
        defaults: FunctionDefaults,
        adopted: str | None = None,
        role_alias: str | None = None,
    ) -> None:
        """``adopted`` is the name of a policy that an earlier deployment left; ``defaults`` run what writes it.

        ``role_alias`` is as for ``policy_document``.
        """
        super().__init__(scope, construct_id)

        stack = Stack.of(self)
        self.lifecycle = lifecycle_that_fits(
            topics, fleet=fleet, role_alias=role_alias, mqtt_without_thing=mqtt_without_thing
        )
        if self.lifecycle.renew is None:
            Annotations.of(self).add_info(_WITHOUT_CONFIRM if self.lifecycle.confirm is None else _WITHOUT_RENEW)
        document = policy_document(
            topics,
            lifecycle=self.lifecycle,
            prefix=f"arn:{stack.partition}:iot:{stack.region}:{stack.account}",
            role_alias=role_alias,
            mqtt_without_thing=mqtt_without_thing,
        )
        self.digest = digest_of(
            policy_document(
                topics,
                lifecycle=self.lifecycle,
                prefix=DIGESTED_PREFIX,
                role_alias=role_alias,
                mqtt_without_thing=mqtt_without_thing,
            )
        )
        if adopted is not None:
            CfnWaitConditionHandle(self, "Policy")  # see infra.adoption
            AdoptedPolicy(self, "Adopted", name=adopted, document=document, defaults=defaults)
            self.policy_name = adopted
            return
        # Without a fixed name: a retained policy would collide with that of the next deployment.
        policy = iot.CfnPolicy(self, "Policy", policy_document=document)
        # A deletion would fail while the policy is attached, and would cut the fleet off if it succeeded.
        policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.policy_name = policy.ref
