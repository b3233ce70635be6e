"""``verify`` says what AWS does, whichever it does: each question is asked of a world for each answer."""

import json
import re
from pathlib import Path

import pytest
from cryptography import x509

from fleet.commands.verify import _show as show_report
from fleet.errors import Unreachable
from fleet.https import Reply
from fleet.smoke_test import settling, shared_port
from fleet.smoke_test.credentials import ask_for_credentials
from fleet.smoke_test.enrollment import Enrollment
from fleet.smoke_test.questions import QUESTIONS
from fleet.smoke_test.registered_ca import ask_for_mode
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.shared_port import ask_at_443
from fleet.smoke_test.steps import SmokeTest
from fleet.smoke_test.thingless import CONNECTS, REFUSED, WithoutThing
from pki.issuers import AMAZON
from pki.names import common_name_only
from tests.support.fleet.worlds import api_error, aws_iot

__all__ = ["aws_iot"]

ROOT = Path(__file__).parents[3]
# Its answers are those of `ca_items`, which has a test of its own.
ANSWERED_BY_REACH = "writeOfACaInTheLedger"


def smoke_test(made):
    return SmokeTest(deployment=made.deployment, device=made.device, report=made.report, sign=None)


# What the endpoint answers


@pytest.mark.parametrize("header", ["WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate", None])
def test_the_header_of_a_challenge_is_reported_as_it_arrives(aws_iot, monkeypatch, header):
    headers = {} if header is None else {header: "Basic"}
    reply = Reply(url="", status_code=401, headers=headers, content=b"")
    monkeypatch.setattr(Enrollment, "without_invitation", lambda _: reply)
    smoke_test(aws_iot)._is_refused_without_invitation()
    assert aws_iot.report.observations["wwwAuthenticateArrivesAs"] == header


@pytest.mark.parametrize(
    ("kept", "name_is_kept", "whole_is_kept"), [("whole", True, True), ("common name", True, False), ("", False, False)]
)
def test_what_amazon_s_ca_keeps_of_the_subject_is_reported(aws_iot, monkeypatch, kept, name_is_kept, whole_is_kept):
    device = aws_iot.device
    subjects = {"whole": device.subject, "common name": common_name_only(device.name), "": x509.Name([])}
    monkeypatch.setattr(Enrollment, "run", lambda _: aws_iot.certificate(subjects[kept]))
    aws_iot.issuer = AMAZON
    smoke_test(aws_iot)._enroll()
    observed = aws_iot.report.observations
    assert (observed["csrSubjectIsKept"], observed["csrWholeSubjectIsKept"]) == (name_is_kept, whole_is_kept)
    assert (device.name in observed["certificateSubject"]) == name_is_kept


def test_of_another_issuer_the_subject_is_not_asked(aws_iot, monkeypatch):
    monkeypatch.setattr(Enrollment, "run", lambda _: aws_iot.certificate())
    smoke_test(aws_iot)._enroll()
    for question in ("csrSubjectIsKept", "csrWholeSubjectIsKept"):
        assert aws_iot.report.open[question] == "the issuer is kms"


# How AWS IoT refuses, and how soon it accepts


@pytest.mark.parametrize(("status", "shown"), [(403, "HTTP 403 ForbiddenException:"), (401, "HTTP 401 ")])
def test_the_shape_of_a_refusal_is_reported(aws_iot, status, shown):
    aws_iot.https.statuses = [status]
    device = aws_iot.enrolled()
    smoke_test(aws_iot)._is_refused(device.endpoint, device.files, "devices/another/verify")
    assert aws_iot.report.observations["httpsRefusal"].startswith(shown)
    assert "trace-1" in aws_iot.report.observations["httpsRefusal"]


@pytest.mark.parametrize("refusals", [0, 3])
def test_a_publish_settles_and_the_report_says_how_long_that_took(aws_iot, refusals, monkeypatch):
    monkeypatch.setattr(settling, "PAUSE_SECONDS", 0.1)
    aws_iot.https.refuse = ["end"] * refusals
    device, test = aws_iot.enrolled(), smoke_test(aws_iot)
    monkeypatch.setattr(Enrollment, "run", lambda _: device.certificate)
    test._enroll()
    test._publishes(device.endpoint, device.files, device.https_topic)
    seconds = aws_iot.report.observations["httpsAcceptedWithinSeconds"]
    assert seconds >= round(0.1 * refusals, 1)
    assert seconds < 5
    assert aws_iot.https.handshakes == refusals + 1


REFUSALS = ["drop connect", "refuse connect", "drop subscribe", "refuse subscribe", "drop publish"]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_over_mqtt_is_not_final_before_new_connections_are_refused_too(aws_iot, refusal, monkeypatch):
    monkeypatch.setattr(settling, "SETTLES_SECONDS", 20)
    aws_iot.mqtt.denial, aws_iot.mqtt.denials = refusal, 3
    device, test = aws_iot.enrolled(), smoke_test(aws_iot)
    monkeypatch.setattr(Enrollment, "run", lambda _: device.certificate)
    test._enroll()
    test._round_trip(device.endpoint, device.files, aws_iot.topics)
    assert aws_iot.mqtt.connections == 4
    assert aws_iot.report.observations["mqttAcceptedWithinSeconds"] >= 0


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_over_mqtt_is_final_when_the_time_is_over(aws_iot, refusal):
    aws_iot.mqtt.denial = refusal
    device = aws_iot.enrolled()
    with pytest.raises(StepFailed, match="AWS IoT closed the connection"):
        smoke_test(aws_iot)._round_trip(device.endpoint, device.files, aws_iot.topics)
    assert aws_iot.mqtt.connections > 1
    assert "mqttAcceptedWithinSeconds" in aws_iot.report.open


def test_the_refusal_of_another_topic_is_told_from_a_connection_that_is_refused_for_a_moment(aws_iot, monkeypatch):
    monkeypatch.setattr(settling, "SETTLES_SECONDS", 20)
    device = aws_iot.enrolled()
    taken = iter(["drop connect", "drop connect", "drop publish"])
    reply = aws_iot.mqtt.reply

    def changing(kind, content):
        if kind == 1:
            aws_iot.mqtt.denial = next(taken)
        return reply(kind, content)

    aws_iot.mqtt.reply = changing
    smoke_test(aws_iot)._is_disconnected(device.endpoint, device.files, "devices/another/verify")
    assert aws_iot.mqtt.connections == 3


def test_a_publish_to_another_device_s_topic_that_works_fails_the_step_at_once(aws_iot):
    device = aws_iot.enrolled()
    with pytest.raises(StepFailed, match="could publish on the topic of another device"):
        smoke_test(aws_iot)._is_disconnected(device.endpoint, device.files, "devices/another/verify")
    assert aws_iot.mqtt.connections == 1


# The CA's registration


@pytest.mark.parametrize(
    ("ca", "mode", "said"),
    [
        ("ca" * 32, "SNI_ONLY", "SNI_ONLY"),
        ("ca" * 32, "DEFAULT", "DEFAULT"),
        ("ca" * 32, None, "AWS IoT names no mode"),
        (None, None, "AWS IoT does not connect the certificate with a CA"),
    ],
)
def test_the_mode_of_the_ca_is_reported(aws_iot, ca, mode, said):
    device = aws_iot.enrolled()
    aws_iot.iot.ca, aws_iot.iot.mode = ca, mode
    ask_for_mode(aws_iot.deployment, device.certificate, aws_iot.report)
    assert aws_iot.report.observations["caCertificateMode"] == said


def test_the_mode_stays_open_with_amazon_s_ca_and_without_the_permission(aws_iot):
    device = aws_iot.enrolled()
    aws_iot.iot.mode = api_error("AccessDeniedException", "DescribeCACertificate")
    ask_for_mode(aws_iot.deployment, device.certificate, aws_iot.report)
    assert "AWS does not permit" in aws_iot.report.open["caCertificateMode"]
    aws_iot.issuer = AMAZON
    ask_for_mode(aws_iot.deployment, device.certificate, aws_iot.report)
    assert aws_iot.report.open["caCertificateMode"] == "Amazon's CA is not registered"


# Port 443


@pytest.mark.parametrize(
    ("question", "server", "protocol"),
    [("httpsOverPort443", "https", "x-amzn-http-ca"), ("mqttOverPort443", "mqtt", "x-amzn-mqtt-ca")],
)
def test_port_443_works_or_not_with_the_protocol_that_is_offered(aws_iot, monkeypatch, question, server, protocol):
    device = aws_iot.enrolled()

    def answer(alpn, port=None):
        double = getattr(aws_iot, server)
        double.alpn = alpn
        monkeypatch.setattr(shared_port, "_PORT", port or double.port)
        ask_at_443(device, aws_iot.report)
        return aws_iot.report.observations[question]

    assert answer(protocol) == "works"
    assert answer("something-else").startswith("no answer: ")
    assert answer(protocol, port=1).startswith("no answer: ")
    assert aws_iot.report.steps == []


def test_a_topic_that_is_refused_at_port_443_is_not_taken_for_a_port_that_is_closed(aws_iot, monkeypatch):
    device = aws_iot.enrolled()
    monkeypatch.setattr(shared_port, "_PORT", aws_iot.https.port)
    monkeypatch.setattr(shared_port, "_over_mqtt", lambda _: "not asked here")
    aws_iot.https.statuses = [403]
    ask_at_443(device, aws_iot.report)
    assert aws_iot.report.observations["httpsOverPort443"].startswith("HTTP 403")


# Credentials

GIVEN = {
    "credentials": {
        "accessKeyId": "ASIAEXAMPLE",
        "secretAccessKey": "the-secret",
        "sessionToken": "the-token",
        "expiration": "2026-11-25T18:00:00Z",
    }
}


def provider_of(made):
    return {"credentials": {"endpoint": f"localhost:{made.provider.port}", "roleAlias": "zymkey-device"}}


def test_credentials_are_reported_without_any_secret_and_in_another_name_as_they_are_refused(aws_iot):
    device = aws_iot.enrolled(**provider_of(aws_iot))
    aws_iot.provider.answer = lambda name: (
        (200, GIVEN) if name == aws_iot.device.name else (403, {"message": "not attached"})
    )
    ask_for_credentials(device, aws_iot.report)
    assert aws_iot.report.observations == {
        "credentialsAnswer": "HTTP 200 until 2026-11-25T18:00:00Z",
        "credentialsInAnotherName": "HTTP 403 not attached",
    }
    assert aws_iot.report.ok
    shown = json.dumps(aws_iot.report.as_json())
    assert not [each for each in GIVEN["credentials"].values() if each in shown and not each.startswith("2026")]
    assert {path for path, _ in aws_iot.provider.asked} == {"/role-aliases/zymkey-device/credentials"}


def test_credentials_that_are_given_in_another_name_are_reported_too(aws_iot):
    device = aws_iot.enrolled(**provider_of(aws_iot))
    aws_iot.provider.answer = lambda _: (200, GIVEN)
    ask_for_credentials(device, aws_iot.report)
    assert aws_iot.report.observations["credentialsInAnotherName"].startswith("HTTP 200 until")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {"message": "no policy"}), "HTTP 403 no policy"),
        ((200, {"credentials": {}}), "HTTP 200 and nothing that is known here"),
        (None, "no answer: "),
    ],
)
def test_credentials_that_do_not_come_fail_the_step(aws_iot, answer, said):
    device = aws_iot.enrolled(**provider_of(aws_iot))
    aws_iot.provider.answer = lambda _: answer
    ask_for_credentials(device, aws_iot.report)
    (step,) = aws_iot.report.steps
    assert not step.ok
    assert step.detail.startswith(said)
    assert "credentialsAnswer" in aws_iot.report.open


def test_without_the_setting_nobody_is_asked_for_credentials(aws_iot):
    ask_for_credentials(aws_iot.enrolled(), aws_iot.report)
    assert aws_iot.report.steps == []
    assert aws_iot.report.open["credentialsAnswer"] == "the setting credentials is not set"


def test_the_environment_names_another_credential_provider(aws_iot, monkeypatch):
    device = aws_iot.enrolled(credentials={"endpoint": "localhost:1", "roleAlias": "zymkey-device"})
    monkeypatch.setenv("IOT_CREDENTIAL_ENDPOINT", f"localhost:{aws_iot.provider.port}")
    aws_iot.provider.answer = lambda _: (200, GIVEN)
    ask_for_credentials(device, aws_iot.report)
    assert aws_iot.report.ok


# MQTT without a thing


def without_thing(made, subject=None):
    return WithoutThing(deployment=made.deployment, enrolled=made.enrolled(subject), report=made.report)


def becomes(made, denial, *, after=0, before=""):
    """What the broker does to connections from the one that comes this many after the detachment, and before it."""
    connections = []
    reply = made.mqtt.reply

    def late(kind, content):
        if kind == 1 and made.iot.detached:
            connections.append(None)
            made.mqtt.denial = denial if len(connections) > after else before
        return reply(kind, content)

    made.mqtt.reply = late


@pytest.mark.parametrize(("denial", "outcome"), [("drop subscribe", CONNECTS), ("drop connect", REFUSED)])
@pytest.mark.parametrize("after", [0, 3])
def test_where_the_setting_allows_it_the_answer_is_aws_iots_own(aws_iot, denial, outcome, after, monkeypatch):
    """The detachment takes a while to be known; until then the device is what it was."""
    monkeypatch.setattr(settling, "SETTLES_SECONDS", 20)
    becomes(aws_iot, denial, after=after)
    without_thing(aws_iot).run()
    assert aws_iot.report.observations["mqttWithoutThing"] == outcome
    assert "mqttWithoutThing is allow" in aws_iot.report.open["mqttWithoutThingCanBeDenied"]
    assert aws_iot.mqtt.connections == after + 1
    assert len(aws_iot.iot.detached) == 1


@pytest.mark.parametrize(("status", "safe"), [(200, True), (403, False), (401, False)])
@pytest.mark.parametrize("setting", ["try", "deny"])
def test_deny_is_safe_where_the_device_that_is_refused_over_mqtt_may_publish_over_https(aws_iot, setting, status, safe):
    aws_iot.mqtt_without_thing = setting
    becomes(aws_iot, "drop connect")
    aws_iot.https.statuses = [status]
    without_thing(aws_iot).run()
    assert aws_iot.report.observations == {"mqttWithoutThing": REFUSED, "mqttWithoutThingCanBeDenied": safe}


def test_the_deny_is_waited_for_when_the_detachment_is_known_before_it(aws_iot, monkeypatch):
    monkeypatch.setattr(settling, "SETTLES_SECONDS", 20)
    aws_iot.mqtt_without_thing = "try"
    becomes(aws_iot, "drop connect", after=2, before="drop subscribe")
    without_thing(aws_iot).run()
    assert aws_iot.report.observations["mqttWithoutThing"] == REFUSED


def test_a_policy_that_is_not_in_effect_says_nothing_about_https(aws_iot):
    becomes(aws_iot, "drop subscribe")
    aws_iot.mqtt_without_thing = "try"
    without_thing(aws_iot).run()
    assert aws_iot.report.observations == {"mqttWithoutThing": CONNECTS}
    assert "ten minutes" in aws_iot.report.open["mqttWithoutThingCanBeDenied"]
    aws_iot.mqtt_without_thing = "deny"
    with pytest.raises(StepFailed, match="the setting is deny, and the device connects"):
        without_thing(aws_iot).run()


def test_the_try_is_about_the_devices_name_so_a_certificate_without_one_leaves_it_open(aws_iot):
    becomes(aws_iot, "drop connect")
    aws_iot.mqtt_without_thing = "try"
    without_thing(aws_iot, x509.Name([])).run()
    assert "without a common name" in aws_iot.report.open["mqttWithoutThingCanBeDenied"]


# The report


def test_a_question_without_an_answer_is_in_the_report_with_the_reason():
    report = Report(prints=False)
    report.observe("httpsRefusal", "HTTP 403")

    def unreachable():
        raise Unreachable("No answer.", cure="again")

    report.ask("caCertificateMode", unreachable)
    report.leave_open("apiUrlAnswersToo", "the deployment has no domain")
    said = report.as_json()
    assert said["observations"] == {"httpsRefusal": "HTTP 403"}
    assert set(said["open"]) == set(QUESTIONS) - {"httpsRefusal"}
    assert said["open"]["caCertificateMode"].startswith("No answer.")
    assert said["open"]["apiUrlAnswersToo"] == "the deployment has no domain"
    assert said["open"]["mqttWithoutThing"] == "an earlier step failed"


def test_people_read_the_answers_and_why_there_is_none(capsys):
    report = Report(prints=True)
    report.observe("httpsRefusal", "HTTP 403")
    report.leave_open("apiUrlAnswersToo", "the deployment has no domain")
    show_report(report, as_json=False)
    answered, _, left_open = capsys.readouterr().out.partition("Not asked, or without an answer:")
    assert "How AWS answered:\n  httpsRefusal: HTTP 403\n" in answered
    assert "  apiUrlAnswersToo: the deployment has no domain\n" in left_open
    assert len(left_open.strip().splitlines()) == len(QUESTIONS) - 1


@pytest.mark.parametrize("record", ["observe", "leave_open"])
def test_a_name_that_is_no_question_is_a_defect(record):
    with pytest.raises(KeyError):
        getattr(Report(prints=False), record)("somethingElse", "x")


def test_each_question_is_asked_somewhere_and_its_answers_are_tested():
    asked = "".join(
        path.read_text() for path in (ROOT / "fleet" / "smoke_test").glob("*.py") if path.stem != "questions"
    )
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for question in QUESTIONS:
        assert f'"{question}"' in asked, question
        assert f'"{question}"' in tested or question == ANSWERED_BY_REACH, question


def test_the_operators_guide_says_of_each_question_what_the_answer_changes():
    guide = (ROOT / "docs" / "operator.md").read_text()
    section = guide.partition("## What AWS's documents leave open")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|(.*)\|$", section, re.MULTILINE)
    assert [name for name, *_ in rows] == list(QUESTIONS)
    assert all(len(cell.strip()) > 10 for row in rows for cell in row[1:])
