"""What the fleet's policy lets a device do: verdicts on real requests, and rules over all allowed settings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import lifecycle_topics
from infra.policy_document import (
    MAX_LENGTH,
    MQTT_WITHOUT_THING,
    lifecycle_that_fits,
    longest_length,
    policy_document,
)
from infra.setting_readers import SettingsError
from infra.settings import Settings
from infra.topics import Topics
from pki.names import THINGLESS_PREFIX, VERIFY_PREFIX
from sandbox.data_endpoint.policy_evaluation import Request, evaluate

PREFIX = "arn:aws:iot:eu-central-1:123456789012"
CERTIFICATE_ID = "5e1f" * 16
TOPICS = Topics(publish=("devices/{device}/*", "alerts/all"), subscribe=("devices/{device}/*",))
DOCUMENT = json.dumps(policy_document(TOPICS, prefix=PREFIX))

ATTACHED = {"iot:Connection.Thing.ThingName": "pi-1", "iot:Connection.Thing.IsAttached": "true"}
CERTIFICATE = {"iot:Certificate.Subject.CommonName": "pi-1", "iot:CertificateId": CERTIFICATE_ID}
MQTT = ATTACHED | CERTIFICATE
HTTPS = CERTIFICATE
WITHOUT_SUBJECT = {"iot:CertificateId": CERTIFICATE_ID}


def allowed(action: str, resource: str, variables: dict[str, str]) -> bool:
    request = Request(action=f"iot:{action}", resource=f"{PREFIX}:{resource}", variables=variables)
    return bool(evaluate(request, [DOCUMENT]))


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("Connect", "client/pi-1"),
        ("Publish", "topic/devices/pi-1/temperature"),
        ("Publish", "topic/devices/pi-1/a/b/c"),
        ("Publish", "topic/alerts/all"),
        ("Receive", "topic/devices/pi-1/commands"),
        ("Subscribe", "topicfilter/devices/pi-1/#"),
        ("Subscribe", "topicfilter/devices/pi-1/+/state"),
    ],
)
def test_over_mqtt_a_device_acts_as_itself(action: str, resource: str) -> None:
    assert allowed(action, resource, MQTT)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("Connect", "client/pi-2"),
        ("Connect", "client/*"),
        ("Publish", "topic/devices/pi-2/temperature"),
        ("Publish", "topic/devices/pi-10/temperature"),
        ("Publish", "topic/devices/pi-1"),
        ("Publish", "topic/alerts/all/more"),
        ("Publish", "topic/$aws/things/pi-1/shadow/update"),
        ("Receive", "topic/devices/pi-2/commands"),
        ("Receive", "topic/alerts/all"),
        ("Subscribe", "topicfilter/devices/pi-2/#"),
        ("Subscribe", "topicfilter/devices/+/#"),
        ("Subscribe", "topicfilter/#"),
        ("RetainPublish", "topic/devices/pi-1/temperature"),
        ("GetThingShadow", "thing/pi-1"),
    ],
)
@pytest.mark.parametrize("variables", [MQTT, HTTPS], ids=["mqtt", "https"])
def test_a_device_never_acts_as_another_or_beyond_its_topics(
    action: str, resource: str, variables: dict[str, str]
) -> None:
    assert not allowed(action, resource, variables)


def test_over_https_a_device_publishes_under_its_common_name_or_its_certificates_id() -> None:
    assert allowed("Publish", "topic/devices/pi-1/temperature", HTTPS)
    assert allowed("Publish", f"topic/devices/{CERTIFICATE_ID}/temperature", HTTPS)
    assert allowed("Connect", "client/pi-1", HTTPS)


def test_a_certificate_without_a_common_name_has_the_topics_of_its_id_alone() -> None:
    assert allowed("Publish", f"topic/devices/{CERTIFICATE_ID}/temperature", WITHOUT_SUBJECT)
    assert not allowed("Publish", "topic/devices/pi-1/temperature", WITHOUT_SUBJECT)


def test_a_certificate_that_is_attached_to_no_thing_may_not_subscribe() -> None:
    unattached = CERTIFICATE | {"iot:Connection.Thing.ThingName": "pi-1", "iot:Connection.Thing.IsAttached": "false"}
    assert not allowed("Subscribe", "topicfilter/devices/pi-1/#", unattached)
    assert not allowed("Receive", "topic/devices/pi-1/commands", unattached)


def test_a_certificate_of_another_thing_does_not_act_as_the_thing_that_its_client_id_names() -> None:
    stranger = {
        "iot:Certificate.Subject.CommonName": "pi-2",
        "iot:CertificateId": "00" * 32,
        "iot:Connection.Thing.ThingName": "pi-1",
        "iot:Connection.Thing.IsAttached": "false",
    }
    assert not allowed("Connect", "client/pi-1", stranger)
    assert not allowed("Publish", "topic/devices/pi-1/temperature", stranger)


UNATTACHED = CERTIFICATE | {"iot:Connection.Thing.IsAttached": "false"}
REQUESTS = [("Connect", "client/{}"), ("Publish", "topic/devices/{}/temperature")]


def verdict(choice: str, action: str, resource: str, name: str, variables: dict[str, str]) -> bool:
    document = json.dumps(policy_document(TOPICS, prefix=PREFIX, mqtt_without_thing=choice))
    variables = {key: name if value == "pi-1" else value for key, value in variables.items()}
    request = Request(action=f"iot:{action}", resource=f"{PREFIX}:{resource.format(name)}", variables=variables)
    return bool(evaluate(request, [document]))


@pytest.mark.parametrize(("action", "resource"), REQUESTS)
@pytest.mark.parametrize(
    ("choice", "name", "allowed"),
    [
        ("allow", "pi-1", True),
        ("try", "pi-1", True),
        ("try", f"{VERIFY_PREFIX}ab12", True),
        ("try", f"{THINGLESS_PREFIX}ab12", False),
        ("deny", "pi-1", False),
    ],
)
def test_a_certificate_without_a_thing_is_shut_out_where_the_setting_says_so(
    choice: str, name: str, allowed: bool, action: str, resource: str
) -> None:
    assert verdict(choice, action, resource, name, UNATTACHED) is allowed
    assert verdict(choice, action, resource, name, MQTT), "with its thing it is never shut out"
    assert verdict(choice, action, resource, name, HTTPS), "nor over HTTPS, where the variable does not exist"


@pytest.mark.parametrize(("action", "resource"), REQUESTS)
def test_if_the_variable_existed_over_https_only_the_throw_away_device_would_be_shut_out_while_that_is_tried(
    action: str, resource: str
) -> None:
    assert verdict("try", action, resource, "pi-1", UNATTACHED)
    assert not verdict("try", action, resource, f"{THINGLESS_PREFIX}ab12", UNATTACHED)


def test_without_topics_to_subscribe_to_nothing_can_be_received() -> None:
    document = policy_document(Topics(subscribe=()), prefix=PREFIX)
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert actions == {"iot:Connect", "iot:Publish"}


LIFECYCLE = json.dumps(policy_document(TOPICS, prefix=PREFIX, lifecycle=lifecycle_topics.of_fleet("acme")))


@pytest.mark.parametrize(
    ("action", "resource", "variables", "verdict"),
    [
        ("Publish", f"topic/zymkey/acme/seen/{CERTIFICATE_ID}", HTTPS, True),
        ("Publish", f"topic/zymkey/acme/seen/{CERTIFICATE_ID}", WITHOUT_SUBJECT, True),
        ("Publish", f"topic/zymkey/acme/seen/{CERTIFICATE_ID}", MQTT, True),
        ("Publish", f"topic/zymkey/acme/seen/{'0' * 64}", MQTT, False),
        ("Publish", f"topic/zymkey/other/seen/{CERTIFICATE_ID}", HTTPS, False),
        ("Subscribe", "topicfilter/zymkey/acme/renew/pi-1", MQTT, True),
        ("Receive", "topic/zymkey/acme/renew/pi-1", MQTT, True),
        ("Subscribe", "topicfilter/zymkey/acme/renew/pi-2", MQTT, False),
        ("Subscribe", "topicfilter/zymkey/acme/renew/+", MQTT, False),
        ("Subscribe", "topicfilter/zymkey/acme/seen/#", MQTT, False),
        ("Publish", "topic/zymkey/acme/renew/pi-1", MQTT, False),
    ],
)
def test_a_certificate_speaks_for_itself_alone_and_a_device_hears_what_it_is_told_alone(
    action: str, resource: str, variables: dict[str, str], verdict: bool
) -> None:
    request = Request(action=f"iot:{action}", resource=f"{PREFIX}:{resource}", variables=variables)
    assert bool(evaluate(request, [LIFECYCLE])) is verdict


def test_where_the_settings_leave_no_room_the_fleet_does_without_and_the_timer_and_the_grace_do() -> None:
    def fitting(length: int) -> list[str]:
        long = Topics(publish=("x" * length + "/{device}",), subscribe=("{device}",))
        assert longest_length(long) <= MAX_LENGTH
        return list(lifecycle_that_fits(long, fleet="acme").document())

    assert [fitting(length) for length in (100, 200, 300)] == [["confirm", "renew"], ["confirm"], []]


LEVELS = st.sampled_from(["{device}", "*", "devices", "a", "x" * 40, "+", "#", "$aws", "", "v1.0"])
TEMPLATES = st.lists(LEVELS, min_size=1, max_size=5).map("/".join)


@given(
    publish=st.lists(TEMPLATES, max_size=6),
    subscribe=st.lists(TEMPLATES, max_size=6),
    choice=st.sampled_from(MQTT_WITHOUT_THING),
)
def test_whatever_the_settings_take_makes_a_policy_that_aws_iot_takes(
    publish: list[str], subscribe: list[str], choice: str
) -> None:
    context = {"zymkey-fleet": {"topics": {"publish": publish, "subscribe": subscribe}, "mqttWithoutThing": choice}}
    try:
        topics = Settings.from_context(context).topics
    except SettingsError:
        return
    prefix = "arn:aws-us-gov:iot:ap-southeast-7:123456789012"
    lifecycle = lifecycle_that_fits(topics, fleet="x" * 31, mqtt_without_thing=choice)
    document = policy_document(topics, lifecycle=lifecycle, prefix=prefix, mqtt_without_thing=choice)
    longest = longest_length(topics, lifecycle=lifecycle, mqtt_without_thing=choice)
    assert len(json.dumps(document, separators=(",", ":"))) <= longest <= MAX_LENGTH
    for statement in document["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        for resource in statement["Resource"]:
            levels = resource.split(":", 5)[5].split("/")[1:]
            assert "*" not in "".join(levels[:-1])
            if "*" in levels[-1]:
                assert levels[-1] == "*"
                assert any(level.startswith("${iot:") for level in levels[:-1])
