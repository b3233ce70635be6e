"""An external CA: CSRs wait, are signed here or with other tools, and each certificate is checked before its use."""

import base64
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from fleet.enrollment_api import EnrollmentApi
from fleet.errors import Unreachable
from ledger import State
from pki.certificates import ca_certificate, verification_certificate
from tests.support.fleet.authority import CA, CA_KEY, csr, fingerprint, issue, new_key
from tests.support.fleet.deployment import deploy, enroll, renew, status
from tests.support.fleet.enrollment_endpoint import deployment, serving

COMMAND = Path(__file__).parents[3] / "bin" / "zymkey-fleet"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    """A deployment with issuer external, its CA registered, its endpoint running."""
    cloud = deploy(aws, monkeypatch, "external")
    cloud.iot.register_ca_certificate(
        caCertificate=CA.public_bytes(Encoding.PEM).decode(),
        verificationCertificate=verification_certificate(
            signer=CA_KEY,
            ca=CA,
            registration_code=cloud.iot.get_registration_code()["registrationCode"],
            now=datetime.now(UTC),
        )
        .public_bytes(Encoding.PEM)
        .decode(),
        setAsActive=True,
    )
    with serving(deployment(cloud, issuer="external", ca_certificates=[CA])) as url:
        monkeypatch.setenv("ENROLLMENT_URL", url)
        yield cloud
    for ca in cloud.iot.list_ca_certificates()["certificates"]:
        cloud.iot.update_ca_certificate(certificateId=ca["certificateId"], newStatus="INACTIVE")
        cloud.iot.delete_ca_certificate(certificateId=ca["certificateId"])


def wait_for_signature(cloud, name="pi-1", key=None, *, request=None):
    key = key or new_key()
    now = int(time.time())
    cloud.ledger.allow(name, fingerprint=fingerprint(key), by="alice", now=now)
    cloud.ledger.acquire_lease(name, fingerprint=fingerprint(key), lease="mine", lease_until=now + 25, now=now)
    cloud.ledger.queue_csr(name, csr=request or csr(key, name), lease="mine", now=now)
    return key


def in_aws_iot(cloud):
    return {each["certificateId"] for each in cloud.iot.list_certificates(pageSize=250)["certificates"]}


def test_pending_lists_what_waits_for_a_signature_and_for_approval(run, cloud):
    key, stranger = wait_for_signature(cloud), new_key()
    cloud.ledger.hold_for_approval(fingerprint=fingerprint(stranger), suggested_name="pi-9", now=int(time.time()))
    assert [(each["waitsFor"], each["fingerprint"], each["name"]) for each in run("pending", "--json").json] == [
        ("signature", fingerprint(key), "pi-1"),
        ("approval", fingerprint(stranger), "pi-9"),
    ]
    assert [line.split()[0] for line in run("pending").out.splitlines()] == ["WAITS-FOR", "signature", "approval"]


def test_a_blocked_device_and_a_rejected_key_do_not_wait(run, cloud):
    wait_for_signature(cloud)
    run("block", "pi-1")
    stranger = fingerprint(new_key())
    cloud.ledger.hold_for_approval(fingerprint=stranger, suggested_name="", now=int(time.time()))
    assert run("reject", stranger).code == 0
    assert run("pending", "--json").json == []
    assert run("pending").err == "Nothing waits for you.\n"


def test_an_approved_key_may_enroll(run, cloud):
    stranger = fingerprint(new_key())
    cloud.ledger.hold_for_approval(fingerprint=stranger, suggested_name="pi-9", now=int(time.time()))
    assert run("approve", stranger, "--name", "pi-2").code == 0
    assert cloud.ledger.device_of_key(stranger).name == "pi-2"
    assert run("pending", "--json").json == []


@pytest.mark.parametrize("command", [["approve", "--name", "pi-2"], ["reject"]])
def test_a_key_that_never_asked_cannot_be_decided_on(run, cloud, command):
    stranger = fingerprint(new_key())
    answer = run(*command, stranger)
    assert answer.code == 1
    assert answer.err.startswith(f"zymkey-fleet: No key {stranger} waits for approval.\nTry: zymkey-fleet pending")


def test_export_writes_each_waiting_csr_for_other_tools(run, cloud, tmp_path):
    keys = {name: wait_for_signature(cloud, name) for name in ("pi-1", "pi-2")}
    answer = run("export", tmp_path / "to" / "sign")
    assert answer.out.split() == [str(tmp_path / "to" / "sign" / f"{name}.csr") for name in keys]
    for name, key in keys.items():
        written = x509.load_pem_x509_csr((tmp_path / "to" / "sign" / f"{name}.csr").read_bytes())
        assert written.public_key() == key.public_key()


def test_sign_registers_a_certificate_for_each_csr_that_waits(run, cloud, ca_files):
    keys = {name: wait_for_signature(cloud, name) for name in ("pi-1", "pi-2")}
    answer = run("sign", *ca_files, "--days", "7", "--subject", "O=Acme", "--json")
    assert (answer.code, [(each["name"], each["registered"]) for each in answer.json]) == (
        0,
        [("pi-1", True), ("pi-2", True)],
    )
    for each in answer.json:
        device = cloud.ledger.device(each["name"])
        assert (device.state, device.certificate_id) == (State.ENROLLED, each["certificateId"])
        certificate = x509.load_pem_x509_certificate(
            cloud.ledger.certificate(each["name"], each["certificateId"]).pem.encode()
        )
        assert certificate.public_key() == keys[each["name"]].public_key()
        assert certificate.subject.rfc4514_string() == f"CN={each['name']},O=Acme"
        assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=7, minutes=1)
        arn = cloud.iot.describe_certificate(certificateId=each["certificateId"])["certificateDescription"]
        assert arn["status"] == "ACTIVE"
    assert run("sign", *ca_files, "--json").json == []


def test_sign_can_be_told_which_devices(run, cloud, ca_files):
    for name in ("pi-1", "pi-2"):
        wait_for_signature(cloud, name)
    assert [each["name"] for each in run("sign", "pi-2", *ca_files, "--json").json] == ["pi-2"]
    answer = run("sign", "pi-2", "pi-1", *ca_files)
    assert answer.code == 1
    assert answer.err.startswith("zymkey-fleet: No CSR of pi-2 waits for a signature.\nTry: zymkey-fleet pending")


def test_sign_takes_the_passphrase_from_a_file(run, cloud, ca_files, monkeypatch, tmp_path):
    wait_for_signature(cloud)
    monkeypatch.delenv("ZYMKEY_FLEET_PASSPHRASE")
    (tmp_path / "passphrase").write_text("open sesame\n")
    assert run("sign", *ca_files, "--passphrase-file", tmp_path / "passphrase").code == 0


def test_sign_refuses_a_wrong_passphrase_and_none(run, cloud, ca_files, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "wrong")
    answer = run("sign", *ca_files)
    assert answer.code == 1
    assert "the passphrase is wrong" in answer.err
    assert "wrong'" not in answer.err
    monkeypatch.delenv("ZYMKEY_FLEET_PASSPHRASE")
    answer = run("sign", *ca_files)
    assert "there is no terminal to ask on.\nTry: set $ZYMKEY_FLEET_PASSPHRASE" in answer.err


def test_sign_refuses_a_key_that_is_not_the_ca_s(run, cloud, ca_files, tmp_path):
    other = tmp_path / "other.key"
    other.write_bytes(new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    answer = run("sign", *ca_files[:2], "--ca-key", other)
    assert answer.code == 1
    assert "does not belong to the certificate" in answer.err


def test_sign_refuses_a_ca_that_the_deployment_does_not_have(run, cloud, tmp_path):
    key = new_key()
    other = ca_certificate(signer=key, common_name="fleet CA", organization="", validity_years=1, now=datetime.now(UTC))
    (tmp_path / "other.crt").write_bytes(other.public_bytes(Encoding.PEM))
    (tmp_path / "other.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    wait_for_signature(cloud)
    answer = run("sign", "--ca-cert", tmp_path / "other.crt", "--ca-key", tmp_path / "other.key")
    assert answer.code == 1
    assert "is not the one that this deployment has registered" in answer.err
    assert cloud.ledger.device("pi-1").state is State.PENDING


def test_sign_and_import_are_for_an_external_ca(run, aws, monkeypatch, operator_environment, ca_files, tmp_path):
    deploy(aws, monkeypatch, "kms")
    for command in (["sign", *ca_files], ["import", tmp_path]):
        answer = run(*command)
        assert answer.code == 3
        assert "has the issuer kms; this command needs the issuer external" in answer.err


def test_import_registers_what_openssl_has_signed(run, cloud, ca_files, tmp_path):
    key = wait_for_signature(cloud)
    folder = tmp_path / "to-sign"
    run("export", folder)
    subprocess.run(
        [
            *("openssl", "x509", "-req", "-in", folder / "pi-1.csr", "-CA", ca_files[1], "-CAkey", ca_files[3]),
            *("-passin", "env:ZYMKEY_FLEET_PASSPHRASE", "-days", "30", "-out", folder / "pi-1.crt"),
        ],
        check=True,
        capture_output=True,
    )
    answer = run("import", folder, "--json")
    assert (answer.code, [each["name"] for each in answer.json]) == (0, ["pi-1"])
    certificate = cloud.ledger.certificates("pi-1")[0]
    assert (certificate.state, certificate.fingerprint) == ("active", fingerprint(key))
    assert status(cloud, certificate) == "ACTIVE"


def other_ca(key, name):
    other_key = new_key()
    other = ca_certificate(
        signer=other_key, common_name="other CA", organization="", validity_years=1, now=datetime.now(UTC)
    )
    return issue(key, name, signer=other_key, ca=other)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda key: issue(new_key()), "is for the key SHA256:"),
        (lambda key: issue(key, "pi-2"), "common name is 'pi-2'; it must be 'pi-1'"),
        (lambda key: other_ca(key, "pi-1"), "not issued by this fleet's CA"),
        (lambda key: issue(key, now=datetime.now(UTC) - timedelta(seconds=1), validity_days=0), "expired at"),
        (lambda key: issue(new_key(), "pi-2"), "No device of this fleet has this certificate's name ('pi-2')"),
        (lambda key: CA, "only CA certificates"),
    ],
    ids=["another key", "another name", "another CA", "expired", "another fleet's", "a CA's own"],
)
def test_import_refuses_a_wrong_certificate_with_the_reason_and_registers_the_others(
    run, cloud, tmp_path, make, reason
):
    key, good_key = wait_for_signature(cloud), wait_for_signature(cloud, "pi-3")
    folder = tmp_path / "signed"
    folder.mkdir()
    (folder / "a.pem").write_bytes(make(key).public_bytes(Encoding.PEM))
    (folder / "b.crt").write_bytes(issue(good_key, "pi-3").public_bytes(Encoding.PEM))
    answer = run("import", folder, "--json")
    assert answer.code == 1
    refused, registered = answer.json
    assert (refused["name"], refused["registered"], registered["registered"]) == ("a.pem", False, True)
    assert reason in refused["reason"]
    assert cloud.ledger.device("pi-1").state is State.PENDING
    assert reason in run("import", folder).out


def test_an_import_that_was_interrupted_is_completed_by_the_next_one(run, cloud, tmp_path):
    first, second = wait_for_signature(cloud), wait_for_signature(cloud, "pi-2")
    (tmp_path / "pi-1.pem").write_bytes(issue(first).public_bytes(Encoding.PEM))
    assert run("import", tmp_path).err == "Registered: 1 of 1 files.\n"
    (tmp_path / "pi-2.pem").write_bytes(issue(second, "pi-2").public_bytes(Encoding.PEM))
    before = cloud.ledger.history("pi-1")
    answer = run("import", tmp_path, "--json")
    assert (answer.code, [each["registered"] for each in answer.json]) == (0, [True, True])
    assert cloud.ledger.history("pi-1") == before


@pytest.mark.parametrize("command", ["import", "sign"])
def test_a_reply_that_was_lost_is_not_told_as_a_refusal(run, cloud, ca_files, tmp_path, monkeypatch, command):
    key = wait_for_signature(cloud)
    (tmp_path / "signed").mkdir()
    (tmp_path / "signed" / "pi-1.pem").write_bytes(issue(key).public_bytes(Encoding.PEM))
    send, lost = EnrollmentApi.send, []

    def send_and_lose(self, method, path, **options):
        reply = send(self, method, path, **options)
        if path == "/certificates" and not lost:
            lost.append(reply)
            raise Unreachable("No answer.")
        return reply

    monkeypatch.setattr(EnrollmentApi, "send", send_and_lose)
    monkeypatch.setattr("fleet.enrollment_api.time.sleep", lambda _: None)
    words = ("import", tmp_path / "signed") if command == "import" else ("sign", *ca_files)
    answer = run(*words, "--json")
    assert (answer.code, answer.json[0]["registered"], len(lost)) == (0, True, 1)
    assert cloud.ledger.device("pi-1").state is State.ENROLLED


def test_import_refuses_what_was_replaced_or_switched_off(run, cloud, tmp_path):
    old = enroll(cloud, "pi-1", key := new_key())
    (tmp_path / "pi-1.pem").write_text(old.pem)
    renew(cloud, "pi-1", key)
    answer = run("import", tmp_path, "--json")
    assert answer.code == 1
    assert "already registered for device 'pi-1', and is superseded" in answer.json[0]["reason"]


def test_one_csr_that_cannot_be_read_does_not_stop_the_others(run, cloud, ca_files, tmp_path):
    wait_for_signature(cloud, "pi-1", request="no CSR: ä\x1b")
    wait_for_signature(cloud, "pi-2")
    assert run("export", tmp_path / "csrs").code == 0
    answer = run("sign", *ca_files, "--json")
    assert answer.code == 1
    assert [(each["name"], each["registered"]) for each in answer.json] == [("pi-1", False), ("pi-2", True)]
    assert "The CSR cannot be read" in answer.json[0]["reason"]


def odd_curve():
    """A certificate whose key is on a curve that nobody knows: its curve's identifier is changed by one bit."""
    der = issue(new_key()).public_bytes(Encoding.DER)
    p_256 = bytes.fromhex("06082a8648ce3d030107")
    assert der.count(p_256) == 1
    return b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(
        der.replace(p_256, p_256[:-1] + b"\x0f")
    )


def test_no_odd_file_stops_the_others(run, cloud, tmp_path):
    key = wait_for_signature(cloud)
    certificate = issue(key)
    pem = certificate.public_bytes(Encoding.PEM)
    (tmp_path / "utf-16.pem").write_bytes(pem.decode().encode("utf-16"))
    contents = {"empty": b"", "text": b"hello", "octets": bytes(range(256)), "ca": CA.public_bytes(Encoding.PEM)}
    for name, content in contents.items():
        (tmp_path / f"{name}.pem").write_bytes(content)
    (tmp_path / "dangling.crt").symlink_to("nothing")
    (tmp_path / "folder.crt").mkdir()
    os.mkfifo(tmp_path / "pipe.cer")
    for path in sorted((Path(cryptography_vectors.__path__[0]) / "x509" / "custom").glob("*.pem"))[:25]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "curve.pem").write_bytes(odd_curve())
    answer = run("import", tmp_path, "--json")
    assert answer.code == 1
    told = {each["name"]: each for each in answer.json}
    assert [name for name, each in told.items() if each["registered"]] == ["pi-1"]
    assert {"empty.pem", "text.pem", "octets.pem", "ca.pem", "dangling.crt", "curve.pem"} <= told.keys()
    assert not {"folder.crt", "pipe.cer"} & told.keys()
    assert all(each["reason"] for name, each in told.items() if name != "pi-1")
    assert cloud.ledger.device("pi-1").state is State.ENROLLED


def test_import_refuses_a_blocked_device_and_one_that_has_shown_no_key(run, cloud, tmp_path):
    enroll(cloud, "pi-1", key := new_key())
    run("block", "pi-1")
    run("invite", "pi-2")
    (tmp_path / "1.pem").write_bytes(issue(key).public_bytes(Encoding.PEM))
    (tmp_path / "2.pem").write_bytes(issue(new_key(), "pi-2").public_bytes(Encoding.PEM))
    before = in_aws_iot(cloud)
    answer = run("import", tmp_path, "--json")
    assert [(each["reason"], each["try"]) for each in answer.json] == [
        ("Device 'pi-1' is blocked.", "zymkey-fleet unblock pi-1"),
        ("Device 'pi-2' is invited and has not shown its key yet.", "wait until `zymkey-fleet pending` lists pi-2"),
    ]
    assert "Device 'pi-1' is blocked. Try: zymkey-fleet unblock pi-1\n" in run("import", tmp_path).out
    assert in_aws_iot(cloud) == before


def test_import_says_when_a_folder_has_nothing_to_import(run, cloud, tmp_path):
    assert "has no certificates" in run("import", tmp_path).err
    assert "cannot be read: No such file" in run("import", tmp_path / "none").err


def test_an_endpoint_that_does_not_answer_is_named(run, cloud, ca_files, monkeypatch):
    monkeypatch.setenv("ENROLLMENT_URL", "http://127.0.0.1:9")
    answer = run("sign", *ca_files)
    assert answer.code == 6
    assert answer.err.startswith("zymkey-fleet: No answer from http://127.0.0.1:9/")


def test_an_external_ca_is_retired_by_its_common_name_and_only_by_force_since_it_issues(run, cloud):
    assert "is the newest, which issues" in run("ca", "retire", "fleet CA").err
    answer = run("ca", "retire", "fleet CA", "--force", "--json")
    assert answer.json["setting"] == {"externalCertificateAuthority": {"retired": True}}
    assert 'add "retired": true to externalCertificateAuthority there' in run("ca", "retire", "fleet CA").out
    (ca,) = cloud.iot.list_ca_certificates()["certificates"]
    assert ca["status"] == "INACTIVE"
