"""Every setting takes what it should, and says in one sentence what it does not take."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from infra.adoption import Adoption
from infra.setting_readers import SettingsError
from infra.settings import CertificateAuthority, ExternalCertificateAuthority, Settings

CDK_JSON = Path(__file__).parents[3] / "cdk.json"
CA = {"name": "a", "commonName": "CA", "organization": "", "validityYears": 20}
ALARM_TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def read(values: Any = None, **overrides: Any) -> Settings:
    """Settings from the context object, with command-line overrides (dots as double underscores)."""
    context = {"zymkey-fleet": {} if values is None else values}
    for name, value in overrides.items():
        context[f"zymkey-fleet.{name.replace('__', '.')}"] = value
    return Settings.from_context(context)


def test_cdk_json_spells_out_every_setting_with_its_default() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    assert Settings.from_context(context) == Settings() == Settings.from_context({})
    assert set(context["zymkey-fleet"]) == {
        *("fleet", "issuer", "certificateAuthorities", "externalCertificateAuthority", "certificateValidityDays"),
        *("renewalGraceDays", "certificatesPerKeyAndDay", "expiredGraceDays", "deleteAfterDays"),
        *("certificateSubject", "topics", "uninvited", "firstConnection", "architecture", "bundleFor"),
        "logRetentionDays",
        *("terminationProtection", "adopt"),
        *("domain", "formerDomains"),
        *("alarmTopicArn", "alarmEmail", "alarmThresholds", "runbookUrl", "iotLogging"),
        "deviceDefender",
        "credentials",
        *("mqttWithoutThing", "things"),
        *("tags", "permissionsBoundary", "accessLogGroup", "reservedConcurrency", "registrationsPerSecond"),
    }


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_alarms_tell_a_topic_of_any_partition_or_an_address(partition: str) -> None:
    topic = ALARM_TOPIC.replace("arn:aws:", f"arn:{partition}:")
    assert read({"alarmTopicArn": topic, "alarmEmail": None}).alarm_topic_arn == topic
    assert read({"alarmEmail": "ops+pi@example.com"}).alarm_email == "ops+pi@example.com"


def test_a_setting_of_the_command_line_wins() -> None:
    settings = read({"issuer": "kms", "fleet": "greenhouse"}, issuer="aws")
    assert (settings.issuer, settings.fleet) == ("aws", "greenhouse")


def test_the_command_line_takes_json_and_plain_strings() -> None:
    settings = read(
        certificateValidityDays="30",
        topics='{"publish": ["{device}"], "subscribe": []}',
        uninvited="approve",
        externalCertificateAuthority="null",
    )
    assert settings.certificate_validity_days == 30
    assert settings.topics.publish == ("{device}",)
    assert settings.uninvited == "approve"


def test_the_command_line_reaches_into_objects_and_leaves_their_other_members() -> None:
    settings = read({"certificateSubject": {"C": "DE", "O": "Acme"}}, certificateSubject__O="Example")
    assert settings.certificate_subject == {"C": "DE", "O": "Example"}


def test_the_command_line_makes_an_object_where_there_is_none() -> None:
    settings = read({"externalCertificateAuthority": None}, externalCertificateAuthority__certificate="ca.pem")
    assert settings.external_certificate_authority == ExternalCertificateAuthority(
        certificate=Path("ca.pem"), verification_certificate=None
    )


def test_a_common_name_may_have_64_bytes_and_its_certificate_can_be_made() -> None:
    name = "\u00fc" * 32
    (authority,) = read({"certificateAuthorities": [CA | {"commonName": name}]}).certificate_authorities
    assert x509.NameAttribute(NameOID.COMMON_NAME, authority.common_name).value == name
    with pytest.raises(ValueError, match="64"):
        x509.NameAttribute(NameOID.COMMON_NAME, name + "x")


def test_retired_cas_are_no_mistake_while_another_ca_issues() -> None:
    old, new = CA | {"retired": True}, CA | {"name": "b"}
    for authorities in ([old, new], [new, old]):
        settings = read({"certificateAuthorities": authorities})
        assert [each.retired for each in settings.certificate_authorities] == [each is old for each in authorities]
    assert read({"issuer": "aws", "certificateAuthorities": [old]}).certificate_authorities[0].retired
    external = {"certificate": "ca.pem", "retired": True}
    assert read({"externalCertificateAuthority": external}).external_certificate_authority == (
        ExternalCertificateAuthority(certificate=Path("ca.pem"), verification_certificate=None, retired=True)
    )


def test_several_cas_keep_their_order() -> None:
    settings = read(
        {
            "certificateAuthorities": [
                {"name": "2026", "commonName": "old", "organization": "Acme", "validityYears": 20},
                {"name": "2027", "commonName": "new", "validityYears": 10},
            ]
        }
    )
    assert settings.certificate_authorities == (
        CertificateAuthority(name="2026", common_name="old", organization="Acme", validity_years=20),
        CertificateAuthority(name="2027", common_name="new", organization="", validity_years=10),
    )


def test_what_is_adopted_is_read_member_by_member() -> None:
    value = {"ledgerTable": "t-1", "iotPolicy": "p", "certificateAuthorities": {"2026": KEY_ARN}}
    assert read({"adopt": value}).adopt == Adoption(
        ledger_table="t-1", iot_policy="p", certificate_authorities={"2026": KEY_ARN}
    )
    assert read({"adopt": {"iotPolicy": "p"}}).adopt == Adoption(iot_policy="p")
    assert read({"adopt": None}).adopt == read({"adopt": {}}).adopt == Adoption()


KEY_ARN = "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234"

WRONG = [
    ({"fleet": "2nd"}, 'zymkey-fleet.fleet is "2nd", but must be 1 to 31 letters, digits and -, a letter first.'),
    ({"fleet": "a" * 32}, "but must be 1 to 31 letters"),
    ({"fleet": 7}, "zymkey-fleet.fleet is 7, but"),
    ({"issuer": "amazon"}, 'zymkey-fleet.issuer is "amazon", but must be one of kms, aws, external.'),
    ({"issuer": True}, "zymkey-fleet.issuer is true, but must be one of"),
    ({"issuer": ["kms"]}, 'zymkey-fleet.issuer is ["kms"], but must be one of'),
    ({"isuer": "kms"}, "zymkey-fleet.isuer is not a setting; did you mean issuer?"),
    ({"colour": "red"}, "zymkey-fleet.colour is not a setting; the settings are fleet, issuer,"),
    ([], "zymkey-fleet is [], but must be an object"),
    ({"certificateValidityDays": 0}, "is 0, but must be a whole number from 1 to 3650."),
    ({"certificateValidityDays": 3651}, "is 3651, but"),
    ({"certificateValidityDays": "365"}, 'is "365", but must be a whole number'),
    ({"certificateValidityDays": True}, "is true, but must be a whole number"),
    ({"certificateValidityDays": 1.5}, "is 1.5, but must be a whole number"),
    ({"tags": ["a"]}, 'zymkey-fleet.tags is ["a"], but must be an object of strings.'),
    ({"tags": {"a": 1}}, "but must be an object of strings."),
    ({"tags": {f"t{n}": "" for n in range(41)}}, "zymkey-fleet.tags has 41 tags, but a resource takes 40 of them."),
    ({"tags": {"aws:team": "x"}}, 'zymkey-fleet.tags has the key "aws:team", but a key has 1 to 128 letters'),
    ({"tags": {"": "x"}}, 'zymkey-fleet.tags has the key "", but'),
    ({"tags": {"team": "x" * 257}}, "zymkey-fleet.tags.team is"),
    ({"tags": {"zymkey-fleet": "other"}}, "zymkey-fleet.tags.zymkey-fleet is a tag that permissions look at;"),
    ({"tags": {"zymkey-fleet-signs": "x"}}, "zymkey-fleet.tags.zymkey-fleet-signs is a tag that permissions look at;"),
    ({"permissionsBoundary": "arn:aws:iam::1:role/x"}, "but must be null, or the name or the ARN of a managed policy."),
    ({"permissionsBoundary": ""}, 'zymkey-fleet.permissionsBoundary is "", but'),
    ({"accessLogGroup": "/mine"}, "but must be null, or a name that begins with /aws/vendedlogs/"),
    ({"accessLogGroup": "/aws/vendedlogs/" + "x" * 201}, "but must be null, or a name"),
    ({"reservedConcurrency": 0}, "zymkey-fleet.reservedConcurrency is 0, but must be a whole number from 1 to 1000."),
    (
        {"registrationsPerSecond": 0},
        "zymkey-fleet.registrationsPerSecond is 0, but must be a whole number from 1 to 1000.",
    ),
    ({"renewalGraceDays": 0}, "zymkey-fleet.renewalGraceDays is 0, but must be a whole number from 1 to 365."),
    (
        {"certificatesPerKeyAndDay": 0},
        "zymkey-fleet.certificatesPerKeyAndDay is 0, but must be a whole number from 1 to 1000.",
    ),
    ({"certificatesPerKeyAndDay": None}, "certificatesPerKeyAndDay is null, but must be a whole number"),
    (
        {"expiredGraceDays": -1},
        "zymkey-fleet.expiredGraceDays is -1, but must be null, or a whole number from 0 to 3650.",
    ),
    ({"certificateSubject": {"CN": "x"}}, "zymkey-fleet.certificateSubject.CN is not a setting;"),
    ({"certificateSubject": {"C": "Germany"}}, "must be two capital letters (ISO 3166)."),
    ({"certificateSubject": {"O": ""}}, "certificateSubject.O is"),
    ({"certificateSubject": {"OU": "x" * 65}}, "must be a string of 1 to 64 characters."),
    ({"certificateAuthorities": []}, "is [], but must be a list of one to three CAs, oldest first."),
    ({"certificateAuthorities": [CA | {"name": n} for n in "abcd"]}, "but must be a list of one to three CAs"),
    ({"certificateAuthorities": [CA, CA]}, "has the names a, a, but each CA must have a name of its own."),
    ({"certificateAuthorities": [{"name": "a"}]}, "certificateAuthorities[0].commonName is missing,"),
    ({"certificateAuthorities": [CA | {"name": "a b"}]}, 'certificateAuthorities[0].name is "a b", but'),
    ({"certificateAuthorities": [CA | {"key": "x"}]}, "certificateAuthorities[0].key is not a setting;"),
    ({"certificateAuthorities": ["2026"]}, 'certificateAuthorities[0] is "2026", but must be an object with name,'),
    ({"certificateAuthorities": [CA | {"retired": "yes"}]}, 'retired is "yes", but must be true or false.'),
    (
        {"certificateAuthorities": [CA | {"retired": True}]},
        "zymkey-fleet.certificateAuthorities has no CA that is not retired, but zymkey-fleet.issuer is kms: "
        "add another CA after the others, under a new name.",
    ),
    (
        {"issuer": "external", "externalCertificateAuthority": {"certificate": "ca.pem", "retired": True}},
        "zymkey-fleet.externalCertificateAuthority.retired is true, but zymkey-fleet.issuer is external: ",
    ),
    # 33 characters, 66 bytes.
    ({"certificateAuthorities": [CA | {"commonName": "\u00fc" * 33}]}, "commonName is"),
    ({"certificateAuthorities": [CA | {"commonName": ""}]}, "but must be a string of 1 to 64 bytes of UTF-8."),
    ({"externalCertificateAuthority": {}}, "externalCertificateAuthority.certificate is missing,"),
    ({"externalCertificateAuthority": {"certificate": 1}}, "is 1, but must be the path of a PEM file."),
    ({"issuer": "external"}, "zymkey-fleet.externalCertificateAuthority is null, but must name"),
    ({"topics": {"publish": []}}, "zymkey-fleet.topics.publish is [], but must have at least one topic"),
    ({"topics": {"publish": "devices/{device}/*"}}, "but must be a list of topics like devices/{device}/*."),
    ({"topics": {"publish": ["devices/*"]}}, 'topics.publish[0] is "devices/*", but may have * only as'),
    ({"topics": {"subscribe": ["a", "#"]}}, 'topics.subscribe[1] is "#", but must consist of levels'),
    ({"topics": {"all": []}}, "zymkey-fleet.topics.all is not a setting;"),
    ({"uninvited": "allow"}, "but must be one of refuse, approve."),
    ({"firstConnection": "all"}, "but must be one of known-keys, any, off."),
    ({"architecture": "arm"}, "but must be one of arm64, x86_64."),
    ({"bundleFor": "pi"}, "but must be one of lambda, host."),
    ({"terminationProtection": "yes"}, 'zymkey-fleet.terminationProtection is "yes", but must be true or false.'),
    ({"adopt": "all"}, 'zymkey-fleet.adopt is "all", but must be an object with ledgerTable,'),
    ({"adopt": {"ledger": "x"}}, "zymkey-fleet.adopt.ledger is not a setting;"),
    ({"adopt": {"ledgerTable": "a b"}}, 'adopt.ledgerTable is "a b", but must be the name of a DynamoDB table.'),
    ({"adopt": {"iotPolicy": None}}, "adopt.iotPolicy is null, but must be the name of an IoT policy."),
    ({"adopt": {"certificateAuthorities": {}, "externalCertificateAuthority": "x"}}, "64 hexadecimal digits."),
    ({"adopt": {"certificateAuthorities": ["a"]}}, "but must be an object with the ARN of a key in KMS for each"),
    (
        {"adopt": {"ledgerTable": "table", "certificateAuthorities": {"2026": "key"}}},
        'adopt.certificateAuthorities.2026 is "key", but must be the ARN of a key in KMS.',
    ),
    ({"adopt": {"certificateAuthorities": {"2026": KEY_ARN}}}, "adopt.ledgerTable is missing, but must name"),
    (
        {"adopt": {"ledgerTable": "table", "certificateAuthorities": {"2025": KEY_ARN}}},
        "adopt.certificateAuthorities.2025 is no CA of this deployment, whose setting certificateAuthorities has 2026.",
    ),
    ({"adopt": {"externalCertificateAuthority": "a" * 64}}, "but the setting externalCertificateAuthority is null"),
    (
        {"alarmTopicArn": "alarms"},
        'alarmTopicArn is "alarms", but must be the ARN of a standard SNS topic,',
    ),
    ({"alarmTopicArn": f"{ALARM_TOPIC}.fifo"}, "but must be the ARN of a standard SNS topic, as arn:aws:sns:REGION:"),
    ({"alarmTopicArn": ["a", "b"]}, "but must be the ARN of a standard SNS topic,"),
    ({"alarmEmail": "ops"}, 'zymkey-fleet.alarmEmail is "ops", but must be an e-mail address or null.'),
    ({"alarmEmail": "a@b@c"}, "but must be an e-mail address or null."),
    ({"alarmEmail": "ops@example.com,boss@example.com"}, "but must be an e-mail address or null."),
    ({"alarmEmail": "the ops@example.com"}, "but must be one e-mail address without spaces, or null."),
    ({"alarmEmail": "a@b.org", "alarmTopicArn": ALARM_TOPIC}, "are both set, but only one of them may be:"),
    ({"alarmThresholds": {"requests": 0}}, "alarmThresholds.requests is 0, but must be a whole number from 1 to"),
    ({"alarmThresholds": {"errors": 1}}, "zymkey-fleet.alarmThresholds.errors is not a setting;"),
    ({"alarmThresholds": 5}, "alarmThresholds is 5, but must be an object with clientErrors, requests."),
    ({"runbookUrl": "https://x/y#z"}, "but must be the address of docs/runbook.md, without # and without spaces."),
    ({"runbookUrl": ""}, 'zymkey-fleet.runbookUrl is "", but must be the address of docs/runbook.md,'),
    (
        {"deviceDefender": {"frequency": "WEEKLY"}},
        "zymkey-fleet.deviceDefender.dayOfWeek is missing, but zymkey-fleet.deviceDefender.frequency WEEKLY needs it.",
    ),
    (
        {"deviceDefender": {"frequency": "DAILY", "dayOfMonth": "LAST"}},
        'zymkey-fleet.deviceDefender.dayOfMonth is "LAST", but zymkey-fleet.deviceDefender.frequency DAILY has none: '
        "leave it out.",
    ),
    ({"deviceDefender": {"frequency": "HOURLY"}}, "but must be one of DAILY, WEEKLY, BIWEEKLY, MONTHLY."),
    ({"iotLogging": "TRACE"}, "but must be one of off, ERROR, WARN, INFO, DEBUG."),
    ({"mqttWithoutThing": True}, "zymkey-fleet.mqttWithoutThing is true, but must be one of allow, try, deny."),
    (
        {"mqttWithoutThing": "deny", "topics": {"publish": [f"{{device}}/{'x' * 60}{n}" for n in "ab"]}},
        'zymkey-fleet.topics with zymkey-fleet.mqttWithoutThing "deny" makes an IoT policy of up to 2',
    ),
    ({"logRetentionDays": 8}, "zymkey-fleet.logRetentionDays is 8, but must be one of 1, 3, 5, 7, 14,"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_value_is_refused_in_one_sentence(values: Any, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(values)
    sentence = str(refusal.value)
    assert said in sentence
    assert sentence.startswith("zymkey-fleet")
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))


def test_a_long_value_is_cut_in_the_sentence() -> None:
    with pytest.raises(SettingsError) as refusal:
        read({"issuer": "x" * 5000})
    assert len(str(refusal.value)) < 200


def test_topics_that_make_the_policy_too_long_are_refused_with_both_lengths() -> None:
    topics = {"publish": [f"devices/{{device}}/sensor{number}/*" for number in range(9)]}
    with pytest.raises(SettingsError, match=r"policy of up to [3-5]\d{3} characters, but it must be at most 2048"):
        read({"topics": topics})


def test_the_documentation_has_every_setting_with_its_default() -> None:
    documented = (CDK_JSON.parent / "docs/settings.md").read_text()
    table = re.search(r"^\| setting \|.*\n\|[-|]+\n((?:\|.*\n)+)", documented, re.MULTILINE)
    assert table, "a row that stands elsewhere is no row"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table[1], re.MULTILINE))
    settings = json.loads(CDK_JSON.read_text())["context"]["zymkey-fleet"]
    assert set(rows) == set(settings)
    for name, value in settings.items():
        if not isinstance(value, list) and name != "topics":
            assert rows[name] == f"`{json.dumps(value)}`"
