"""`status` and `doctor` show the URL in use, the one beside it, and the one that the fleet announces."""

import json
from pathlib import Path

from tests.support.device.announced_url import (
    NOWHERE,
    RENEW,
    changed,
    device,
    moved,
    new,
    settings_file,
)
from tests.support.device.diagnosis import Diagnose, Diagnosis
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["device", "moved", "new", "settings_file", "zymkey_iot"]


def test_status_shows_both_urls(moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command) -> None:
    document = json.loads(zymkey_iot("status", "--json").stdout)
    assert (document["url"], document["fallbackUrl"], document["announcedUrl"]) == (new.url, est.url, new.url)
    shown = zymkey_iot("status").stdout
    assert f"{new.url}, or {est.url} when that does not serve" in shown
    assert "announces" not in shown


def test_status_says_that_the_fleet_has_a_newer_url(
    device: Pi, est: EstServer, zymkey_iot: Command, settings_file: Path
) -> None:
    est.configuration["enrollmentUrl"] = NOWHERE
    assert zymkey_iot(*RENEW).returncode == 0
    document = json.loads(zymkey_iot("status", "--json").stdout)
    assert (document["url"], document["fallbackUrl"], document["announcedUrl"]) == (est.url, None, NOWHERE)
    shown = zymkey_iot("status").stdout
    assert f"the fleet announces {NOWHERE}, which has not worked yet. Try: sudo zymkey-iot renew" in shown
    settings_file.write_text(f'url = "{est.url}"\n')
    shown = zymkey_iot("status").stdout
    assert f"the fleet announces {NOWHERE}; {est.url} is set ({settings_file}). Try: correct it there" in shown


def test_doctor_looks_at_both(moved: Pi, est: EstServer, new: EstServer, diagnose: Diagnose) -> None:
    def found() -> Diagnosis:
        return diagnose("--only", "enrollment", "--only", "enrollment-fallback", "--timeout", "1")

    assert (found().status("enrollment"), found().text("enrollment-fallback")) == ("ok", f"{est.url} answers too")

    est.answers = [Answer(404)] * 9
    said = found()
    assert (said.status("enrollment"), said.status("enrollment-fallback")) == ("ok", "warning")
    assert f"asks there only when {new.url} does not serve" in said.text("enrollment-fallback")

    est.answers, new.answers = [], [Answer(404)] * 9
    said = found()
    assert (said.status("enrollment"), said.status("enrollment-fallback")) == ("failed", "ok")
    assert f"a renewal works, although {new.url} does not serve" in said.text("enrollment-fallback")

    est.answers = [Answer(404)] * 9
    assert found().status("enrollment-fallback") == "failed"

    est.answers, new.answers = [], []
    changed(est, fleet="another")
    assert "its fleet is another" in found().text("enrollment-fallback")


def test_doctor_tells_a_newer_url_that_a_setting_keeps_from_use(
    device: Pi, est: EstServer, new: EstServer, diagnose: Diagnose, zymkey_iot: Command
) -> None:
    said = diagnose("--only", "enrollment")
    assert said.status("enrollment") == "ok", "an announcement is no change that a device waits for"
    assert f"it announces {new.url}, which the next renewal tries" in said.text("enrollment")
    assert (
        diagnose("--only", "enrollment-fallback").text("enrollment-fallback") == "this device knows one enrollment URL"
    )

    said = diagnose("--only", "enrollment", ENROLLMENT_URL=est.url)
    assert said.status("enrollment") == "warning"
    assert f"{est.url} is set (ENROLLMENT_URL)" in said.text("enrollment")
    assert said.cure("enrollment").startswith(f"set {new.url} there")

    est.configuration["enrollmentUrl"] = "http://enroll.example.com"
    said = diagnose("--only", "enrollment")
    assert said.status("enrollment") == "warning"
    assert "announces an enrollment URL that is not allowed" in said.text("enrollment")
