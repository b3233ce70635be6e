"""ca rotate: each step is read from the deployment, whatever has brought it about; and who still stands on a CA."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.aws_session import AwsSession
from ledger import CertificateAuthority
from pki.certificates import ca_certificate, verification_certificate
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON, EXTERNAL, KMS
from tests.support.fleet.authority import CA, CA_KEY, fingerprint, new_key
from tests.support.fleet.deployment import deploy, enroll, renew
from tests.support.fleet.enrollment_endpoint import deployment, serving

NEW_KEY = new_key()
NEW = ca_certificate(
    signer=NEW_KEY,
    common_name="fleet CA 2",
    organization="Acme",
    validity_years=10,
    now=datetime.now(UTC) + timedelta(seconds=1),
)
OLD_ID, NEW_ID = certificate_id(CA), certificate_id(NEW)


def pem(certificate):
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def register(aws):
    """A function that registers a CA until the test is over."""
    iot, registered = aws("iot"), []

    def register(ca, key, *, tags=()):
        code = iot.get_registration_code()["registrationCode"]
        proof = verification_certificate(signer=key, ca=ca, registration_code=code, now=datetime.now(UTC))
        reply = iot.register_ca_certificate(
            caCertificate=pem(ca), verificationCertificate=pem(proof), setAsActive=True, tags=list(tags)
        )
        registered.append(reply["certificateId"])

    yield register
    for identifier in registered:
        iot.update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
        iot.delete_ca_certificate(certificateId=identifier)


def in_kms(cloud, aws, name, certificate):
    """Remember a CA as the maker does; returns its key's ARN."""
    arn = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    cloud.ledger.keep_certificate_authority(
        CertificateAuthority(
            name=name,
            key_arn=arn,
            subject="CN=fleet CA",
            certificate_pem=pem(certificate),
            verification_pem="",
            validity_years=10,
        )
    )
    return arn


@pytest.fixture
def rotate(run):
    """A function that asks for the rotation's state while the deployed settings name these CAs."""

    def rotate(cloud, *declared, name="", issuer=KMS, words=("--json",)):
        with serving(deployment(cloud, issuer=issuer, ca_certificates=declared)) as url:
            return run("ca", "rotate", *([name] if name else []), *words, "--url", url)

    return rotate


def states(answer):
    assert answer.code == (0 if answer.json["done"] else 1)
    return {each["id"]: each["state"] for each in answer.json["steps"]}


def step(answer, identifier):
    (found,) = [each for each in answer.json["steps"] if each["id"] == identifier]
    return found


def test_a_rotation_in_kms_is_led_from_its_first_step_to_its_last(cloud, aws, run, register, rotate):
    key = new_key()
    arn = in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    certificate = enroll(cloud, "pi-1", key)

    answer = rotate(cloud, CA)
    assert (answer.json["name"], answer.json["successor"]) == ("a", None)
    assert states(answer) == {
        "successor": "now",
        "devices": "later",
        "retire": "later",
        "setting": "later",
        "key": "later",
    }
    year = str(time.gmtime().tm_year)
    (entry,) = step(answer, "successor")["setting"]["certificateAuthorities"]
    assert entry == {"name": year, "commonName": "fleet CA", "organization": "", "validityYears": 10}
    assert step(answer, "successor")["type"] == ["cdk deploy --all"]

    in_kms(cloud, aws, "b", NEW)
    register(NEW, NEW_KEY)
    answer = rotate(cloud, CA, NEW)
    assert answer.json["successor"] == {"name": "b", "certificateId": NEW_ID}
    assert states(answer)["devices"] == "now"
    left = answer.json["left"]
    assert (left["devices"], left["current"]) == (1, 1)
    life = certificate.not_after - certificate.not_before
    due = datetime.fromtimestamp(certificate.not_before + life * 3 // 4, UTC)
    assert left["lastDue"] == due.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert step(answer, "devices")["type"] == ["zymkey-fleet renew --state enrolled --issued-by a"]
    assert run("renew", "--state", "enrolled", "--issued-by", "a", "--yes", "--json").json[0]["name"] == "pi-1"
    assert run("ca", "retire", "a").code == 1

    renewed_by(cloud, "pi-1", key, NEW_ID)
    assert rotate(cloud, CA, NEW).json["left"]["superseded"] == 1
    cloud.ledger.deactivated("pi-1", certificate.certificate_id, by="sweep", now=int(time.time()))
    assert states(rotate(cloud, CA, NEW)) == {
        "successor": "done",
        "devices": "done",
        "retire": "now",
        "setting": "later",
        "key": "later",
    }
    assert run("ca", "retire", "a").code == 0
    answer = rotate(cloud, CA, NEW)
    assert states(answer)["setting"] == "now"
    assert step(answer, "setting")["setting"] == {"certificateAuthorities": [{"name": "a", "retired": True}]}
    answer = rotate(cloud, NEW)
    assert states(answer)["key"] == "now"
    assert arn in step(answer, "key")["type"][0]
    aws("kms").schedule_key_deletion(KeyId=arn, PendingWindowInDays=30)

    answer = rotate(cloud, NEW)
    assert (answer.code, answer.json["name"], set(states(answer).values())) == (0, "a", {"done"})
    assert rotate(cloud, NEW, words=()).out.endswith("Nothing is left to do.\n")
    # The next one begins when somebody asks for it.
    assert states(rotate(cloud, NEW, name="b"))["successor"] == "now"


def renewed_by(cloud, name, key, authority):
    """Give the device a certificate of another CA; only the ledger looks at who issued it."""
    from tests.support.fleet import deployment as support

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "certificate_id", lambda each: authority if each is CA else certificate_id(each))
        return renew(cloud, name, key, registered=False)


def test_a_person_reads_what_to_type_and_what_comes_later(cloud, aws, register, rotate):
    in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    lines = rotate(cloud, CA, words=()).out.splitlines()
    assert lines[0] == "The CA 'a' (CN=fleet CA)"
    assert [line.split()[0] for line in lines[1:]] == ["now", "cdk.json:", "type:", "later", "later", "later", "later"]
    assert '"certificateAuthorities": [{"name": ' in lines[2]


def test_a_stolen_ca_is_retired_first_and_its_devices_counted_all_the_same(cloud, aws, run, register, rotate):
    in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    enroll(cloud, "pi-1")
    assert run("ca", "retire", "a", "--force").code == 0
    answer = rotate(cloud, CA)
    assert states(answer)["successor"] == "now"
    assert states(answer)["retire"] == "done"
    in_kms(cloud, aws, "b", NEW)
    register(NEW, NEW_KEY)
    answer = rotate(cloud, NEW)
    assert (states(answer)["devices"], answer.json["left"]["current"]) == ("now", 1)
    assert states(answer)["setting"] == "done"


def test_only_who_holds_a_certificate_that_works_counts_and_each_once(cloud, aws, register, rotate):
    in_kms(cloud, aws, "a", CA)
    in_kms(cloud, aws, "b", NEW)
    register(CA, CA_KEY)
    register(NEW, NEW_KEY)
    keys = {name: new_key() for name in ("both", "blocked", "moved", "unfinished")}
    for name, key in keys.items():
        if name != "unfinished":
            enroll(cloud, name, key, registered=False)
    now = int(time.time())
    cloud.ledger.block("blocked", by="alice", now=now)
    renew(cloud, "both", keys["both"], registered=False)
    renewed_by(cloud, "moved", keys["moved"], NEW_ID)
    unfinished(cloud, "unfinished", keys["unfinished"])
    cloud.ledger.allow("invited", fingerprint=fingerprint(new_key()), by="alice", now=now)
    left = rotate(cloud, CA, NEW, name="a").json["left"]
    assert {name: left[name] for name in ("devices", "current", "superseded", "unfinished")} == {
        "devices": 3,
        "current": 1,
        "superseded": 1,
        "unfinished": 1,
    }


def unfinished(cloud, name, key):
    """As an enrollment leaves a device that was interrupted after the signature."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(cloud.ledger), "make_current", lambda *_, **__: None)
        enroll(cloud, name, key, registered=False)


@pytest.fixture
def external(aws, operator_environment, monkeypatch):
    return deploy(aws, monkeypatch, EXTERNAL)


def test_an_external_ca_is_known_by_its_tag_after_the_settings_name_another(external, run, register, rotate):
    tags = [{"Key": "zymkey-fleet", "Value": external.fleet}]
    register(CA, CA_KEY, tags=tags)
    answer = rotate(external, CA, issuer=EXTERNAL)
    first = step(answer, "successor")
    assert first["setting"] == {
        "externalCertificateAuthority": {"certificate": "NEW.crt", "verificationCertificate": "VERIFICATION.crt"}
    }
    assert first["type"][:2] == [
        "zymkey-fleet ca verification-csr",
        "zymkey-fleet ca check --ca-cert NEW.crt --verification-cert VERIFICATION.crt",
    ]
    register(NEW, NEW_KEY, tags=tags)
    stranger = new_key()
    register(
        ca_certificate(
            signer=stranger, common_name="stranger", organization="", validity_years=1, now=datetime.now(UTC)
        ),
        stranger,
    )
    answer = rotate(external, NEW, issuer=EXTERNAL)
    assert (answer.json["name"], answer.json["successor"]["certificateId"]) == ("fleet CA", NEW_ID)
    assert states(answer) == {"successor": "done", "devices": "done", "retire": "now", "setting": "done"}
    with serving(deployment(external, issuer=EXTERNAL, ca_certificates=[NEW])) as url:
        refused = run("ca", "retire", "stranger", "--url", url)
        assert (refused.code, "there are: fleet CA, fleet CA 2" in refused.err) == (1, True)
        assert run("ca", "retire", "fleet CA", "--url", url).code == 0
    assert rotate(external, NEW, issuer=EXTERNAL).code == 0


def test_with_amazons_issuer_there_is_nothing_to_rotate_unless_a_ca_of_before_is_left(
    aws, operator_environment, monkeypatch, run, register
):
    cloud = deploy(aws, monkeypatch, AMAZON)
    answer = run("ca", "rotate")
    assert (answer.code, "there is no CA of yours" in answer.out) == (0, True)
    assert run("ca", "rotate", "--json").json["done"] is True
    in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    enroll(cloud, "pi-1", registered=False)
    answer = run("ca", "rotate", "--json")
    assert answer.json["successor"] is None
    assert states(answer) == {
        "successor": "done",
        "devices": "now",
        "retire": "later",
        "setting": "done",
        "key": "later",
    }
    assert '"retired": true' in step(answer, "setting")["what"]


def test_who_may_not_look_at_the_key_is_told_so(cloud, aws, register, rotate, monkeypatch):
    """As with the policies of a release before this command."""
    in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    client = AwsSession.client

    def denied(**_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeKey")

    def without_keys(session, service):
        made = client(session, service)
        if service == "kms":
            made.describe_key = denied
        return made

    monkeypatch.setattr(AwsSession, "client", without_keys)
    answer = rotate(cloud, CA, name="a")
    assert "You may not see whether that was done" in step(answer, "key")["what"]


@pytest.mark.parametrize("authority", ["a", OLD_ID], ids=["name", "certificate id"])
def test_devices_are_found_by_the_ca_that_issued_their_certificate(cloud, aws, run, register, authority):
    in_kms(cloud, aws, "a", CA)
    register(CA, CA_KEY)
    enroll(cloud, "pi-1", registered=False)
    renewed_by(cloud, "pi-2", allowed(cloud, "pi-2"), NEW_ID)
    assert [each["name"] for each in run("list", "--issued-by", authority, "--json").json] == ["pi-1"]
    assert run("list", "--issued-by", authority, "--count").out == "1\n"
    assert run("list", "--issued-by", "aws", "--count").out == "0\n"
    unknown = run("list", "--issued-by", "x")
    assert (unknown.code, "There is no CA 'x'; there are: a." in unknown.err) == (1, True)


def allowed(cloud, name):
    key = new_key()
    cloud.ledger.allow(name, fingerprint=fingerprint(key), by="alice", now=int(time.time()))
    return key
