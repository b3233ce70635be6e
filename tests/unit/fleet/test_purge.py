"""What a destroyed deployment left goes, the ledger last, and nothing of anybody else's."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from audit.deletion import StillAttached
from fleet.aws_session import AwsSession
from fleet.purge import removal
from ledger import THING_MARK
from tests.support.fleet.deployment import enroll
from tests.support.fleet.left import leave, make_ca

A_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(removal, "PAUSES", (0.0,) * 3)


def device(cloud, name):
    """A device with its certificate, and a thing of this fleet; its certificate's id."""
    certificate = enroll(cloud, name)
    cloud.iot.update_thing(thingName=name, attributePayload={"attributes": {THING_MARK: cloud.fleet}, "merge": True})
    return certificate.certificate_id


class Left:
    """What one destroyed deployment left: two devices, a CA, and a managed policy."""

    def __init__(self, aws, fleet):
        self.aws, self.cloud = aws, leave(aws, fleet)
        self.names = [f"{fleet}-pi-{number}" for number in (1, 2)]
        self.certificates = [device(self.cloud, name) for name in self.names]
        self.key, self.ca = make_ca(aws, self.cloud)
        self.people = aws("iam").create_policy(
            PolicyName=f"{fleet}-Trust-OperatorPolicy9D2F-{uuid.uuid4().hex[:8]}", PolicyDocument=A_POLICY
        )["Policy"]["Arn"]

    def there(self):
        """What of it is still there."""
        iot, found = self.aws("iot"), set()
        for kind, call in (
            *(
                (f"certificate {each}", lambda each=each: iot.describe_certificate(certificateId=each))
                for each in self.certificates
            ),
            *((f"thing {each}", lambda each=each: iot.describe_thing(thingName=each)) for each in self.names),
            ("policy", lambda: iot.get_policy(policyName=self.cloud.policy)),
            ("ca", lambda: iot.describe_ca_certificate(certificateId=self.ca)),
            ("people", lambda: self.aws("iam").get_policy(PolicyArn=self.people)),
            ("table", lambda: self.aws("dynamodb").describe_table(TableName=self.cloud.table)),
        ):
            try:
                call()
                found.add(kind)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                assert code in ("ResourceNotFoundException", "NoSuchEntity", "NoSuchEntityException"), error
        if self.aws("kms").describe_key(KeyId=self.key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            found.add("key")
        return found


@pytest.fixture
def fleet(operator_environment, monkeypatch):
    name = f"test-{uuid.uuid4().hex[:10]}"
    monkeypatch.setenv("ZYMKEY_FLEET", name)
    return name


@pytest.fixture
def left(aws, fleet):
    return Left(aws, fleet)


def purge(run, fleet, *words):
    return run("purge", "--confirm", fleet, "--no-backup", "--json", *words)


def test_all_of_it_goes_and_nothing_of_another_fleet_whose_name_begins_so(run, aws, fleet, left):
    other = Left(aws, f"{fleet}-b")
    before = other.there()
    answer = purge(run, fleet)
    assert answer.code == 0, answer.out + answer.err
    assert left.there() == set()
    assert other.there() == before
    assert answer.json["removed"] == {
        "certificates": 2,
        "things": 2,
        "iotPolicies": 1,
        "caRegistrations": 1,
        "keys": 1,
        "managedPolicies": 1,
        "tables": 1,
    }
    assert run("purge", "--dry-run").code == 3, "there is nothing left"


def test_a_dry_run_says_what_would_go_and_what_it_costs_and_does_nothing(run, fleet, left):
    before = left.there()
    shown = run("purge", "--dry-run")
    assert shown.code == 0
    for each in (left.cloud.table, left.cloud.policy, left.ca, left.key):
        assert each in shown.out
    assert "it costs 1.00 USD a month" in shown.err
    assert "What stays:" in shown.err
    assert left.there() == before


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--no-backup"], 1, "no terminal"),
        (["--no-backup", "--confirm", "other"], 1, "That is not the fleet's name"),
        (["--confirm", "FLEET"], 2, "whether the ledger is to be kept"),
    ],
)
def test_without_the_fleet_s_name_and_a_word_about_a_backup_nothing_goes(run, fleet, left, words, code, sentence):
    before = left.there()
    answer = run("purge", *(fleet if each == "FLEET" else each for each in words))
    assert (answer.code, sentence in answer.err) == (code, True), answer.err
    assert left.there() == before


def test_while_a_stack_is_there_nothing_goes(run, aws, fleet, left):
    nothing = {"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    for stack in ("Trust", "Enrollment"):
        aws("cloudformation").create_stack(StackName=f"{fleet}-{stack}", TemplateBody=json.dumps(nothing))
        answer = purge(run, fleet)
        assert (answer.code, f"{fleet}-{stack}" in answer.err) == (1, True)
        assert "cdk destroy --all" in answer.err
        aws("cloudformation").delete_stack(StackName=f"{fleet}-{stack}")
    assert "table" in left.there()


def test_what_somebody_else_holds_or_has_attached_is_kept_and_said_and_so_is_the_ledger(run, aws, fleet, left):
    aws("iam").create_user(UserName=fleet)
    aws("iam").attach_user_policy(UserName=fleet, PolicyArn=left.people)
    stranger = aws("iot").create_keys_and_certificate(setAsActive=True)
    aws("iot").attach_thing_principal(thingName=left.names[0], principal=stranger["certificateArn"])

    answer = purge(run, fleet)

    assert answer.code == 1
    assert left.there() == {"people", "table", f"thing {left.names[0]}"}
    said = " ".join(answer.json["kept"])
    assert all(each in said for each in (fleet, stranger["certificateId"], left.names[0]))
    status = aws("iot").describe_certificate(certificateId=stranger["certificateId"])["certificateDescription"][
        "status"
    ]
    assert status == "ACTIVE"

    aws("iam").detach_user_policy(UserName=fleet, PolicyArn=left.people)
    aws("iot").detach_thing_principal(thingName=left.names[0], principal=stranger["certificateArn"])
    assert purge(run, fleet).code == 0
    assert left.there() == set()


def test_the_thing_of_another_application_with_a_device_s_name_stays(run, aws, fleet, left):
    aws("iot").update_thing(thingName=left.names[0], attributePayload={"attributes": {THING_MARK: "other"}})
    assert purge(run, fleet).code == 0
    assert left.there() == {f"thing {left.names[0]}"}


def test_a_backup_is_written_first_and_where_it_cannot_be_nothing_goes(run, fleet, left, tmp_path):
    file = tmp_path / "last.jsonl"
    file.write_text("")
    assert run("purge", "--confirm", fleet, "--backup", file).code == 1
    assert "table" in left.there()
    file.unlink()
    assert run("purge", "--confirm", fleet, "--backup", file).code == 0
    assert json.loads(file.read_text().splitlines()[0])["fleet"] == fleet
    assert left.there() == set()


def test_of_several_ledgers_one_is_chosen(run, aws, fleet, left):
    second = leave(aws, fleet)
    answer = purge(run, fleet)
    assert (answer.code, second.table in answer.err) == (1, True)
    assert purge(run, fleet, "--table", second.table).code == 0
    assert "table" in left.there()


@pytest.mark.parametrize("after", range(1, 26, 4))
def test_interrupted_anywhere_the_same_command_finishes(run, aws, fleet, left, after, monkeypatch):
    """A command that is killed after so many changes."""
    changes = 0

    def one_more(model, **_):
        nonlocal changes
        changes += model.name.startswith(("Update", "Delete", "Detach", "Schedule"))
        if changes == after:
            raise KeyboardInterrupt

    real = AwsSession.client

    def watched(self, service):
        client = real(self, service)
        client.meta.events.register("before-call", one_more, unique_id="interrupt")
        return client

    with monkeypatch.context() as patch:
        patch.setattr(AwsSession, "client", watched)
        purge(run, fleet)
    assert purge(run, fleet).code in (0, 3)
    assert left.there() == set()


def test_what_aws_iot_has_not_noticed_yet_is_waited_for_and_then_said(run, aws, fleet, left, monkeypatch):
    waits = []

    def not_noticed(self, name):
        waits.append(name)
        raise StillAttached(f"the thing {name}")

    with monkeypatch.context() as patch:
        patch.setattr(removal.Purge, "_thing", not_noticed)
        answer = purge(run, fleet)
    assert (answer.code, len(waits)) == (1, 2 * 4)
    assert "has not noticed yet" in " ".join(answer.json["kept"])
    assert purge(run, fleet).code == 0
