"""invite, allow, list, block, unblock, remove: what the ledger and AWS IoT hold after each."""

import hashlib
import re
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ledger import CertificateState, State
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import URL, enroll, renew, status


def pem_files(key, folder):
    """The three files that say which key is meant."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    files = {
        "public.pem": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "request.csr": request.public_bytes(Encoding.PEM),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def claim(cloud, name, token, key):
    now = int(time.time())
    return cloud.ledger.claim(
        name,
        fingerprint=fingerprint(key),
        token_hash=hashlib.sha256(token.encode()).hexdigest(),
        lease="mine",
        lease_until=now + 25,
        now=now,
    )


def test_invite_prints_the_one_command_and_the_token_on_a_line_of_its_own(run, cloud):
    answer = run("invite", "pi-1")
    assert answer.code == 0
    command, token = re.fullmatch(r"(.+)\n([A-Za-z0-9_]\S{42})\n", answer.out).groups()
    assert command == f"zymkey-iot bootstrap {URL} --name pi-1 --token-file -"
    assert claim(cloud, "pi-1", token, new_key()).state is State.PENDING


def test_invite_as_json_gives_name_token_expiry_and_command(run, cloud):
    answer = run("invite", "pi-1", "--expires", "2h", "--json")
    assert answer.json.keys() == {"name", "token", "expires", "command"}
    assert answer.json["command"].startswith("zymkey-iot bootstrap ")
    assert answer.json["command"].endswith(" --name pi-1 --token-file -")
    assert answer.json["token"] not in answer.json["command"]
    expires = time.strptime(answer.json["expires"], "%Y-%m-%dT%H:%M:%SZ")
    assert 7190 < time.mktime(expires) - time.mktime(time.gmtime()) <= 7200
    assert cloud.ledger.device("pi-1").token_expires is not None


def test_the_token_is_nowhere_in_the_ledger(run, cloud, aws):
    token = run("invite", "pi-1", "--json").json["token"]
    assert token not in str(aws("dynamodb").scan(TableName=cloud.table))


def test_inviting_again_makes_the_first_token_worthless(run, cloud):
    first, second = (run("invite", "pi-1", "--json").json["token"] for _ in range(2))
    assert first != second
    with pytest.raises(Exception, match="not the token"):
        claim(cloud, "pi-1", first, new_key())
    claim(cloud, "pi-1", second, new_key())


def test_a_device_that_has_a_key_is_not_invited_again(run, cloud):
    enroll(cloud)
    answer = run("invite", "pi-1")
    assert answer.code == 1
    assert answer.out == ""
    cause, cure = answer.err.splitlines()
    assert re.fullmatch(r"zymkey-fleet: Device 'pi-1' is enrolled already with the key SHA256:\S{43}\.", cause)
    assert cure == (
        "Try: zymkey-fleet show pi-1, if it is the same device, or choose another name; if another HSM takes its place "
        "and keeps its thing: `zymkey-fleet replace pi-1`; to give this name to another device: "
        "zymkey-fleet block pi-1 && zymkey-fleet remove pi-1 && zymkey-fleet invite pi-1"
    )


def test_the_address_for_devices_can_be_another_than_the_stack_s(run, cloud, monkeypatch):
    monkeypatch.setenv("ENROLLMENT_URL", "https://127.0.0.1:4566/(path)")
    assert "bootstrap 'https://127.0.0.1:4566/(path)' --name pi-1" in run("invite", "pi-1").out
    assert "bootstrap https://pi.example.com --name" in run("invite", "pi-1", "--url", "https://pi.example.com").out


@pytest.mark.parametrize("name", ["", "pi 1", "pi+1", "pi/1", "$pi", "x" * 65, "pï"])
def test_a_name_that_aws_iot_could_not_use_is_a_usage_error(run, name):
    answer = run("invite", name)
    assert answer.code == 2
    assert "1 to 64 letters, digits, hyphens and underscores" in answer.err


@pytest.mark.parametrize("expires", ["", "24", "0h", "-1h", "366d", "1w", "1.5h", "9999999d"])
def test_a_time_that_is_none_is_a_usage_error(run, expires):
    answer = run("invite", "pi-1", f"--expires={expires}")
    assert answer.code == 2
    assert "is not a time from 1m to 365d" in answer.err


def test_allow_takes_a_fingerprint_a_public_key_or_a_csr(run, cloud, tmp_path):
    key = new_key()
    for source in [fingerprint(key), *pem_files(key, tmp_path)]:
        answer = run("allow", "pi-1", "--key", source, "--json")
        assert answer.code == 0
        assert answer.json["fingerprint"] == fingerprint(key)
    assert cloud.ledger.device_of_key(fingerprint(key)).name == "pi-1"
    assert len(cloud.ledger.history("pi-1")) == 1


def test_allow_takes_a_certificate(run, cloud, tmp_path):
    key = new_key()
    (tmp_path / "old.crt").write_text(enroll(cloud, "pi-1", key).pem)
    assert run("allow", "pi-1", "--key", tmp_path / "old.crt").code == 0


def test_allow_refuses_a_key_of_another_device(run, cloud):
    key = fingerprint(new_key())
    run("allow", "pi-1", "--key", key)
    answer = run("allow", "pi-2", "--key", key)
    assert answer.code == 1
    assert answer.err.startswith(
        f"zymkey-fleet: The key {key} belongs to another device, 'pi-1'.\nTry: zymkey-fleet show pi-1, "
    )


def pem_of_private_key(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pem_of_private_key(new_key()), "holds a private key"),
        (b"hello", "no public key, CSR or certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is not a certificate in PEM"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "not a PKCS#10 CSR"),
        (public_pem(rsa.generate_private_key(65537, 1024)), "is RSA-1024; AWS IoT takes P-256"),  # noqa: S505
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "is secp256k1; AWS IoT takes P-256"),
    ],
)
def test_allow_refuses_a_file_without_a_usable_public_key(run, tmp_path, content, reason):
    (tmp_path / "key.pem").write_bytes(content)
    answer = run("allow", "pi-1", "--key", tmp_path / "key.pem")
    assert answer.code == 1
    assert reason in answer.err


@pytest.mark.parametrize(
    ("key", "reason"), [("SHA256:abc", "is not a fingerprint"), ("no/such.pem", "cannot be read: No such file")]
)
def test_allow_refuses_a_key_that_is_neither_file_nor_fingerprint(run, key, reason):
    answer = run("allow", "pi-1", "--key", key)
    assert answer.code == 1
    assert reason in answer.err


def test_list_shows_each_device_its_state_key_and_expiry_in_aligned_columns(run, cloud):
    certificate = enroll(cloud, "pi-2")
    run("invite", "a-much-longer-name")
    answer = run("list")
    heads, first, second = answer.out.splitlines()
    assert heads.split() == ["NAME", "STATE", "FINGERPRINT", "CERTIFICATE-EXPIRES"]
    assert first.split() == ["a-much-longer-name", "invited", "-", "-"]
    assert second.split()[:3] == ["pi-2", "enrolled", certificate.fingerprint]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second.split()[3])
    assert {line.index(word) for line, word in ((heads, "STATE"), (first, "invited"), (second, "enrolled"))} == {20}
    assert not set(answer.out) & {"\t", "\033"}


def test_list_says_which_invitations_have_expired(run, cloud):
    cloud.ledger.invite("pi-1", token_hash="hash", token_expires=int(time.time()) - 1, by="alice", now=0)
    assert "invited-expired" in run("list").out
    assert run("list", "--json").json[0]["state"] == "invited"


def test_list_as_json_has_every_device_once(run, cloud):
    key = new_key()
    certificate = enroll(cloud, "pi-1", key)
    assert run("list", "--json").json == [
        {
            "name": "pi-1",
            "state": "enrolled",
            "fingerprint": fingerprint(key),
            "certificateId": certificate.certificate_id,
            "certificateExpires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(certificate.not_after)),
            "tokenExpires": None,
        }
    ]


def test_an_empty_fleet_is_no_failure(run, cloud):
    assert run("list", "--json").json == []
    answer = run("list")
    assert answer.code == 0
    assert "zymkey-fleet invite NAME" in answer.err


def test_block_switches_off_each_certificate_that_could_be_in_use(run, cloud):
    key = new_key()
    certificates = [enroll(cloud, "pi-1", key), renew(cloud, "pi-1", key)]
    other = enroll(cloud, "pi-2")
    answer = run("block", "pi-1", "--json")
    assert answer.code == 0
    assert answer.json["state"] == "blocked"
    assert sorted(answer.json["deactivated"]) == sorted(each.certificate_id for each in certificates)
    assert [status(cloud, each) for each in [*certificates, other]] == ["INACTIVE", "INACTIVE", "ACTIVE"]
    assert {each.state for each in cloud.ledger.certificates("pi-1")} == {CertificateState.DEACTIVATED}
    assert cloud.ledger.device("pi-1").state is State.BLOCKED


def test_block_that_was_interrupted_is_completed_by_the_next_one(run, cloud):
    certificate = enroll(cloud, "pi-1")
    cloud.ledger.block("pi-1", by="alice", now=int(time.time()))  # and then the laptop's battery was empty
    assert status(cloud, certificate) == "ACTIVE"
    assert run("block", "pi-1", "--json").json["deactivated"] == [certificate.certificate_id]
    assert status(cloud, certificate) == "INACTIVE"
    assert run("block", "pi-1", "--json").json["deactivated"] == []


def test_block_does_not_stumble_over_a_certificate_that_aws_iot_does_not_have(run, cloud):
    enroll(cloud, "pi-1", registered=False)
    assert run("block", "pi-1").code == 0
    assert run("remove", "pi-1").code == 0


def test_unblock_switches_the_current_certificate_on_and_leaves_the_older_off(run, cloud):
    key = new_key()
    first, second = enroll(cloud, "pi-1", key), renew(cloud, "pi-1", key)
    run("block", "pi-1")
    answer = run("unblock", "pi-1", "--json")
    assert answer.json == {"name": "pi-1", "state": "enrolled", "reactivated": second.certificate_id}
    assert [status(cloud, each) for each in (first, second)] == ["INACTIVE", "ACTIVE"]
    assert run("unblock", "pi-1", "--json").json["reactivated"] is None


def test_unblock_that_was_interrupted_is_completed_by_the_next_one(run, cloud):
    certificate = enroll(cloud, "pi-1")
    run("block", "pi-1")
    cloud.ledger.unblock("pi-1", by="alice", now=int(time.time()))
    assert run("unblock", "pi-1").code == 0
    assert status(cloud, certificate) == "ACTIVE"


def test_a_device_in_use_is_only_removed_after_it_was_blocked(run, cloud):
    enroll(cloud, "pi-1")
    answer = run("remove", "pi-1")
    assert answer.code == 1
    assert "block it first" in answer.err
    run("block", "pi-1")
    assert run("remove", "pi-1").code == 0
    assert run("list", "--json").json == []
    assert run("invite", "pi-1").code == 0


@pytest.mark.parametrize("command", ["block", "unblock", "remove"])
def test_an_unknown_device_is_said_to_be_unknown(run, cloud, command):
    answer = run(command, "pi-7")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("zymkey-fleet: There is no device 'pi-7'.\nTry: zymkey-fleet list, which shows ")


def test_the_history_says_who_did_it(run, cloud):
    run("invite", "pi-1")
    run("block", "pi-1")
    assert [(each.what, each.by) for each in cloud.ledger.history("pi-1")] == [("invited", "root"), ("blocked", "root")]
