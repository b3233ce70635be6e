"""What keeps the smoke test harmless and its report true; that it works is shown against the whole cloud."""

import pytest
from botocore.exceptions import ClientError

from fleet.smoke_test.device import PREFIX, ThrowAwayDevice
from fleet.smoke_test.reach import ca_items
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.traces import left_behind, remove_traces
from ledger import CertificateAuthority
from pki.csr import read_csr
from pki.names import is_device_name
from tests.support.fleet.authority import fingerprint
from tests.support.fleet.deployment import enroll


def test_only_a_throw_away_device_is_thrown_away(cloud):
    enroll(cloud, "pi-1")
    with pytest.raises(ValueError, match="is no throw-away device"):
        remove_traces("pi-1", cloud)
    assert cloud.ledger.device("pi-1") is not None


def test_only_throw_away_devices_of_a_while_ago_are_left_behind(cloud):
    for name, at in ((f"{PREFIX}old", 1000), (f"{PREFIX}new", 1001), ("pi-1", 0)):
        cloud.ledger.invite(name, token_hash="hash", token_expires=5000, by="alice", now=at)
    assert left_behind(cloud, now=1000 + 15 * 60) == [f"{PREFIX}old"]


def test_a_throw_away_device_makes_a_csr_that_any_deployment_takes(tmp_path):
    device = ThrowAwayDevice(folder=tmp_path)
    assert is_device_name(device.name)
    csr = read_csr(device.csr())
    assert (csr.common_name, csr.fingerprint) == (device.name, device.fingerprint)
    assert device.fingerprint == fingerprint(device.key)
    assert "key=" not in repr(device)


def test_the_attempt_to_write_a_ca_says_whether_it_is_permitted_and_changes_nothing(cloud, monkeypatch):
    authority = CertificateAuthority(
        name="1", key_arn="zymkey-fleet-verify", subject="", certificate_pem="", verification_pem="", validity_years=1
    )
    cloud.ledger.keep_certificate_authority(authority)  # even if there were one
    assert ca_items(cloud) == "permitted"
    assert cloud.ledger.certificate_authority("zymkey-fleet-verify") == authority

    sent = []

    def refuse(**request):
        sent.append(request["TransactItems"])
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "TransactWriteItems")

    monkeypatch.setattr(cloud.ledger._table._client, "transact_write_items", refuse)
    assert ca_items(cloud) == "refused"
    ((write,),) = sent
    assert write["Delete"]["Key"]["pk"]["S"].startswith("certificate-authority#")


def test_a_report_is_only_ok_when_every_step_is(capsys):
    report = Report(prints=True)
    assert not report.ok
    with report.step("first") as step:
        step.detail = "done"
    assert report.ok
    with report.step("second"):
        raise StepFailed("expected 200, got 500")
    assert not report.ok
    assert [(each["step"], each["ok"], each["detail"]) for each in report.as_json()["steps"]] == [
        ("first", True, "done"),
        ("second", False, "expected 200, got 500"),
    ]
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["ok", "first", "0.00", "s", "done"]
    assert second.startswith("FAILED")


def test_a_step_that_is_interrupted_is_in_the_report_as_failed(capsys):
    report = Report(prints=False)
    with pytest.raises(KeyboardInterrupt), report.step("first"):
        raise KeyboardInterrupt
    assert [(each.name, each.ok, each.detail) for each in report.steps] == [("first", False, "KeyboardInterrupt")]
    assert capsys.readouterr().out == ""
