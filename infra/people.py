"""The permissions of ``zymkey-fleet`` for people who are not administrators: readers, operators, verifiers.

``fleet/roles.py`` says which command is whose. A managed policy can be attached beside the others; the operator's holds
what the other two hold, so nobody needs two of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.fleet_tag import only_of_fleet
from infra.ledger_table import LedgerTable
from infra.registration_access import SHOWN_ARN, iot_arn
from infra.things import ThingSettings
from pki.names import VERIFY_PREFIX

# The names of the throw-away devices of ``zymkey-fleet verify``.
VERIFY_NAMES = f"{VERIFY_PREFIX}*"
_TOPIC = "topic/"
_VERIFY_THINGS = f"thing/{VERIFY_NAMES}"

# The keys of CAs that the settings do not name any more, which ``ca rotate`` looks at.
_KEYS = "key/*"

# What is written under, by partition key (``ledger.ledger`` has every item's). Not CAs: only what makes them writes
# them, and ``ca retire`` believes them.
DEVICES, KEYS, REQUESTS = "device#*", "key#*", "requests"
# What ``erase`` counts under, once for each CA.
SIGNATURES = "signatures#*"
VERIFY_DEVICES = f"device#{VERIFY_NAMES}"

_REASONS = {
    "thing/*": "Operators name things at any time; `set` and `remove` look for the fleet's mark, which IAM cannot see.",
    "cert/*": "Certificates get their ids when they are created.",
    "thinggroup/*": "`list --group` takes any group of the account, which other tools may have put things into.",
    "cacert/*": "The settings do not name a retired CA; the fleet's tag limits it.",
    _KEYS: "The key of a CA that cdk.json does not name any more has no tag; what is read holds no secret.",
    _VERIFY_THINGS: "Each smoke test names its own thing.",
}


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What one managed policy allows. Resources of AWS IoT are written without the beginning of their ARN.

    Attributes:
        reads: actions that read the ledger's table.
        writes: actions on items of the ledger, each with the partition keys that it is limited to.
        writes_without_keys: whether they may write, too, when AWS does not say which keys.
        iot: actions of AWS IoT, each with its resources.
        unlimited: actions that have no resource type, and can only be allowed on ``*``.
        iot_of_fleet: actions on resources that have the fleet's tag.
        kms: actions on the keys of the account in this Region.
    """

    reads: Sequence[str] = ("GetItem", "Query")
    writes: Sequence[tuple[Sequence[str], Sequence[str]]] = ()
    writes_without_keys: bool = False
    iot: Sequence[tuple[Sequence[str], Sequence[str]]] = ()
    unlimited: Sequence[str] = ()
    iot_of_fleet: Sequence[tuple[Sequence[str], Sequence[str]]] = field(default=())
    kms: Sequence[str] = ()


def _reader(device_policy: str) -> Rights:
    return Rights(
        reads=["GetItem", "Query", "Scan"],
        iot=[
            (["DescribeCertificate", "ListPrincipalThings"], ["cert/*"]),
            (["DescribeCACertificate", "ListTagsForResource"], ["cacert/*"]),
            (["DescribeThing", "ListThingGroupsForThing"], ["thing/*"]),
            (["GetPolicy", "ListTargetsForPolicy"], [f"policy/{device_policy}"]),
            (["ListThingsInThingGroup"], ["thinggroup/*"]),
            (["SearchIndex"], ["index/AWS_Things"]),
        ],
        unlimited=[
            *("GetRegistrationCode", "ListAttachedPolicies", "ListCACertificates", "ListCertificates"),
            *("ListCertificatesByCA", "ListThings"),
        ],
        kms=["DescribeKey"],
    )


def _operator(device_policy: str, things: ThingSettings | None, renewal_topic: str | None) -> Rights:
    groups = () if things is None else things.usable_groups
    reader = _reader(device_policy)
    return Rights(
        reads=reader.reads,
        writes=[(["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"], [DEVICES, KEYS, REQUESTS, SIGNATURES])],
        # Operators of the first release wrote whatever they liked: an update must not lock them out.
        writes_without_keys=True,
        iot=[
            *reader.iot,
            (["DeleteCertificate", "DetachPolicy", "DetachThingPrincipal", "UpdateCertificate"], ["cert/*"]),
            # ``remove`` takes a device's thing along, with its shadows; ``set`` changes it.
            (
                [
                    *("DeleteThing", "DeleteThingShadow", "DetachThingPrincipal"),
                    *("ListNamedShadowsForThing", "ListThingPrincipals", "UpdateThing"),
                ],
                ["thing/*"],
            ),
            # ``renew`` tells a device at once, where the devices' policy has room for the topic.
            *([] if renewal_topic is None else [(["Publish"], [_TOPIC + renewal_topic.replace("{device}", "*")])]),
            # AWS IoT checks both the group and the thing.
            *(
                [
                    (
                        ["AddThingToThingGroup", "RemoveThingFromThingGroup"],
                        [*(f"thinggroup/{each}" for each in groups), "thing/*"],
                    )
                ]
                if groups
                else []
            ),
        ],
        iot_of_fleet=[(["UpdateCACertificate"], ["cacert/*"])],
        unlimited=reader.unlimited,
        kms=reader.kms,
    )


def _verifier() -> Rights:
    """A throw-away device has a random key, so ``key#*`` cannot be narrower; nor can the ids of certificates."""
    return Rights(
        writes=[
            (["DeleteItem", "PutItem"], [VERIFY_DEVICES, KEYS]),
            (["UpdateItem"], [VERIFY_DEVICES, SIGNATURES]),
        ],
        iot=[
            (
                ["DeleteCertificate", "DescribeCertificate", "DetachPolicy", "UpdateCertificate"],
                ["cert/*"],
            ),
            (["DescribeCACertificate"], ["cacert/*"]),
            (["DetachThingPrincipal"], ["cert/*", _VERIFY_THINGS]),
            (["DeleteThing"], [_VERIFY_THINGS]),
        ],
        unlimited=["ListAttachedPolicies"],
    )


class People(Construct):
    """Three managed policies to attach to people's roles. Retained: IAM does not delete a policy that is attached.

    The operator's is a construct of the stack itself, as the first release made it: another place would be another
    policy.

    Attributes:
        policy_arns: by the output of the Enrollment stack that says it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        fleet: str,
        ledger: LedgerTable,
        device_policy: str,
        things: ThingSettings | None,
        renewal_topic: str | None,
        enrollment_stack: str,
    ) -> None:
        """``renewal_topic`` is a template, with ``{device}``; None where the devices' policy has none."""
        super().__init__(scope, construct_id)

        def managed_policy(place: Construct, rights: Rights) -> str:
            policy = iam.ManagedPolicy(place, "Policy")
            ledger.grant(policy, *rights.reads)
            ledger.grant_listing(policy)
            for actions, keys in rights.writes:
                ledger.grant_on_keys(policy, keys, *actions, also_without_keys=rights.writes_without_keys)
            policy.add_statements(
                iam.PolicyStatement(
                    actions=["cloudformation:DescribeStacks"],
                    resources=[
                        Stack.of(self).format_arn(
                            service="cloudformation", resource="stack", resource_name=f"{enrollment_stack}/*"
                        )
                    ],
                ),
                *_iot_statements(place, rights, fleet),
            )
            policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
            acknowledge(policy, _answers(rights, enrollment_stack))
            return policy.managed_policy_arn

        operator = _operator(device_policy, things, renewal_topic)
        self.policy_arns = {
            "ReaderPolicyArn": managed_policy(Construct(self, "Reader"), _reader(device_policy)),
            "OperatorPolicyArn": managed_policy(Construct(scope, "OperatorPolicy"), operator),
            "VerifierPolicyArn": managed_policy(Construct(self, "Verifier"), _verifier()),
        }


def _iot_statements(scope: Construct, rights: Rights, fleet: str) -> Iterable[iam.PolicyStatement]:
    iot = iot_arn(scope)
    for given, conditions in ((rights.iot, None), (rights.iot_of_fleet, only_of_fleet(fleet))):
        for actions, resources in given:
            yield iam.PolicyStatement(
                actions=[f"iot:{action}" for action in actions],
                resources=[f"{iot}:{resource}" for resource in resources],
                conditions=conditions,
            )
    if rights.kms:
        keys = Stack.of(scope).format_arn(service="kms", resource="key", resource_name="*")
        yield iam.PolicyStatement(actions=[f"kms:{action}" for action in rights.kms], resources=[keys])
    # These actions have no resource type: only * is possible.
    yield iam.PolicyStatement(actions=[f"iot:{action}" for action in rights.unlimited], resources=["*"])


def _answers(rights: Rights, enrollment_stack: str) -> dict[str, str]:
    """Why each wildcard is there, by cdk-nag's finding."""
    stacks = SHOWN_ARN.replace(":iot:", ":cloudformation:") + f":stack/{enrollment_stack}/*"
    named = {resource for _, resources in (*rights.iot, *rights.iot_of_fleet) for resource in resources}
    return {
        f"AwsSolutions-IAM5[Resource::{stacks}]": "A stack that is created again has another id.",
        "AwsSolutions-IAM5[Resource::*]": f"{' and '.join(rights.unlimited)} have no resource type.",
        **(
            {f"AwsSolutions-IAM5[Resource::{SHOWN_ARN.replace(':iot:', ':kms:')}:{_KEYS}]": _REASONS[_KEYS]}
            if rights.kms
            else {}
        ),
        **{
            f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:{resource}]": reason
            for resource, reason in _REASONS.items()
            if resource in named
        },
        **{
            f"AwsSolutions-IAM5[Resource::{SHOWN_ARN}:{resource}]": "Each device hears of its renewal on its own topic."
            for resource in named
            if resource.startswith(_TOPIC)
        },
    }
