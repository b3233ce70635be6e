"""The AWS IoT policy that all devices of a fleet share: least privilege by policy variables.

MQTT connections have thing variables: their statements use the thing's name, and require that the certificate is
attached to the thing (Device Defender calls ``client/${iot:ClientId}`` alone a wildcard). HTTPS requests have none:
their statement uses the certificate's common name, and the certificate's id for a certificate without a common name
(AWS IoT developer guide, "Certificate policy variables", "Thing policy variables").

That statement also lets an MQTT client in whose certificate is attached to no thing. A Deny on ``IsAttached: false``
shuts it out, and is harmless over HTTPS only if that variable does not exist there. The guide says so of the thing's
name, type and attributes, and leaves ``IsAttached`` open; if it were false there, the Deny would end every publish over
HTTPS. So it is a choice, ``mqtt_without_thing``: ``allow``; ``try``, a Deny for the devices of one test by
``zymkey-fleet verify``, which shows what AWS IoT does; ``deny``, for all.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from infra import lifecycle_topics
from infra.lifecycle_topics import CERTIFICATE, LifecycleTopics
from infra.topics import DEVICE, Topics
from pki.names import THINGLESS_PREFIX

MAX_LENGTH = 2048  # characters without white space; AWS IoT quota "policy document size"

THING = "${iot:Connection.Thing.ThingName}"
COMMON_NAME = "${iot:Certificate.Subject.CommonName}"
CERTIFICATE_ID = "${iot:CertificateId}"

ALLOW, TRY, DENY = MQTT_WITHOUT_THING = ("allow", "try", "deny")

# The longest prefix of an ARN: its partition and Region have the longest names.
_LONGEST_PREFIX = "arn:aws-us-gov:iot:ap-southeast-1:000000000000"


# For the document's digest, since the template does not know account and Region.
DIGESTED_PREFIX = "~"

NO_LIFECYCLE = LifecycleTopics()


def policy_document(
    topics: Topics,
    *,
    prefix: str,
    lifecycle: LifecycleTopics = NO_LIFECYCLE,
    role_alias: str | None = None,
    mqtt_without_thing: str = ALLOW,
) -> dict[str, Any]:
    """The document for ``topics``.

    Args:
        prefix: ``arn:<partition>:iot:<region>:<account>``.
        lifecycle: the fleet's own topics beside those.
        role_alias: the name of the role alias whose credentials devices may have.
    """

    def resources(kind: str, names: Iterable[str]) -> list[str]:
        return [f"{prefix}:{kind}/{name}" for name in dict.fromkeys(names)]

    def filled(templates: Iterable[str], *devices: str) -> list[str]:
        return [template.replace(DEVICE, device) for template in templates for device in devices]

    attached = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    statements = [
        {
            "Sid": "Mqtt",
            "Effect": "Allow",
            "Action": ["iot:Connect", "iot:Publish"],
            "Resource": [
                *resources("client", [THING]),
                *resources("topic", filled(topics.publish, THING)),
            ],
            "Condition": attached,
        },
        {
            "Sid": "Https",
            "Effect": "Allow",
            "Action": ["iot:Connect", "iot:Publish"],
            "Resource": [
                *resources("client", [COMMON_NAME, CERTIFICATE_ID]),
                *resources("topic", filled(topics.publish, COMMON_NAME, CERTIFICATE_ID)),
            ],
        },
    ]
    if lifecycle.confirm is not None:
        # No other certificate can say that this one works: the variable exists over HTTPS and over MQTT.
        confirm = lifecycle.confirm.replace(CERTIFICATE, CERTIFICATE_ID)
        statements.append(
            {
                "Sid": "Seen",
                "Effect": "Allow",
                "Action": ["iot:Publish"],
                "Resource": resources("topic", [confirm]),
            }
        )
    subscribed = (*topics.subscribe, *([] if lifecycle.renew is None else [lifecycle.renew]))
    if subscribed:
        statements.append(
            {
                "Sid": "MqttSubscribe",
                "Effect": "Allow",
                "Action": ["iot:Receive", "iot:Subscribe"],
                "Resource": [
                    *resources("topic", filled(subscribed, THING)),
                    *resources("topicfilter", filled(subscribed, THING)),
                ],
                "Condition": attached,
            }
        )
    if role_alias is not None:
        statements.append(
            {
                "Sid": "Credentials",
                "Effect": "Allow",
                "Action": ["iot:AssumeRoleWithCertificate"],
                "Resource": resources("rolealias", [role_alias]),
            }
        )
    if mqtt_without_thing != ALLOW:
        # A throw-away device's name begins so, and may be any level of a topic.
        client, topic = (f"{THINGLESS_PREFIX}*", f"*{THINGLESS_PREFIX}*") if mqtt_without_thing == TRY else ("*", "*")
        statements.append(
            {
                "Sid": "MqttWithoutThing",
                "Effect": "Deny",
                "Action": ["iot:Connect", "iot:Publish"],
                "Resource": [*resources("client", [client]), *resources("topic", [topic])],
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "false"}},
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def digest_of(document: dict[str, Any]) -> str:
    """SHA-256 of a document that was made with ``DIGESTED_PREFIX``, as ``audit.policy`` computes it in AWS."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def longest_length(
    topics: Topics,
    *,
    lifecycle: LifecycleTopics = NO_LIFECYCLE,
    role_alias: str | None = None,
    mqtt_without_thing: str = ALLOW,
) -> int:
    """Characters of the document, without white space, in the Region with the longest name."""
    document = policy_document(
        topics,
        prefix=_LONGEST_PREFIX,
        lifecycle=lifecycle,
        role_alias=role_alias,
        mqtt_without_thing=mqtt_without_thing,
    )
    return len(json.dumps(document, separators=(",", ":")))


def lifecycle_that_fits(
    topics: Topics, *, fleet: str, role_alias: str | None = None, mqtt_without_thing: str = ALLOW
) -> LifecycleTopics:
    """The fleet's own topics for which the settings leave room: both, ``confirm`` alone, or none."""
    both = lifecycle_topics.of_fleet(fleet)
    for each in (both, replace(both, renew=None)):
        length = longest_length(topics, lifecycle=each, role_alias=role_alias, mqtt_without_thing=mqtt_without_thing)
        if length <= MAX_LENGTH:
            return each
    return NO_LIFECYCLE
