"""A deployment with a domain: which URL the operator's command prints, and what the smoke test says of the two."""

import argparse
from dataclasses import replace

import pytest

from fleet import deployment as fleet_deployment
from fleet.deployment import open_deployment
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.report import Report
from fleet.smoke_test.steps import SmokeTest
from pki.issuers import KMS
from tests.support.fleet.deployment import deploy
from tests.support.fleet.enrollment_endpoint import deployment, serving

DOMAIN = "https://enroll.example.com"


def opened(cloud, **outputs):
    arguments = argparse.Namespace(profile=None, region=None, fleet=cloud.fleet, url=None)
    found = open_deployment(arguments)
    return replace(found, outputs=replace(found.outputs, **outputs), url=outputs.get("enrollment_url", found.url))


def served(cloud, *, announced):
    made = deployment(cloud, issuer=KMS)
    made = replace(made, choices=replace(made.choices, enrollment_url=announced))
    made.__dict__["data_endpoint"] = "abc-ats.iot.us-east-1.amazonaws.com"
    return serving(made)


@pytest.fixture(autouse=True)
def _nothing_settles(monkeypatch):
    monkeypatch.setattr("fleet.smoke_test.settling.SETTLES_SECONDS", 0)


def first_step(cloud, tmp_path, **outputs):
    """The smoke test's first step, and what was observed. The others, which need more of AWS, do not wait."""
    report = Report(prints=False)
    device = ThrowAwayDevice(folder=tmp_path)
    SmokeTest(deployment=opened(cloud, **outputs), device=device, report=report, sign=None).run()
    return report.as_json()["steps"][0], report.observations


def test_invite_and_allow_print_the_domain(aws, operator_environment, monkeypatch, run):
    deploy(aws, monkeypatch, KMS, EnrollmentUrl=DOMAIN, ApiUrl="https://abc.execute-api.us-east-1.amazonaws.com")
    assert run("invite", "pi-1", "--json").json["command"].startswith(f"zymkey-iot bootstrap {DOMAIN} ")


def test_a_deployment_of_an_earlier_release_has_no_domain(cloud):
    assert opened(cloud).announced_url is None
    assert opened(cloud, api_url=opened(cloud).outputs.enrollment_url).announced_url is None
    assert opened(cloud, api_url="https://abc.example").announced_url == opened(cloud).outputs.enrollment_url


@pytest.mark.parametrize("alive", [True, False])
def test_verify_reports_whether_the_apis_own_url_still_answers(cloud, tmp_path, alive, monkeypatch):
    monkeypatch.setattr(fleet_deployment.Deployment, "announced_url", DOMAIN)
    with served(cloud, announced=DOMAIN) as url:
        own = url.replace("127.0.0.1", "localhost") if alive else "http://127.0.0.1:1"
        step, observed = first_step(cloud, tmp_path, enrollment_url=url, api_url=own)
    assert step["ok"], step
    assert (observed["apiUrlAnswersToo"] is True) == alive
    if not alive:
        assert "No answer from http://127.0.0.1:1/configuration" in observed["apiUrlAnswersToo"]


@pytest.mark.parametrize(("announced", "domain"), [(None, DOMAIN), ("https://old.example.com", DOMAIN), (DOMAIN, None)])
def test_verify_fails_when_devices_are_told_another_url_than_the_outputs_say(
    cloud, tmp_path, monkeypatch, announced, domain
):
    monkeypatch.setattr(fleet_deployment.Deployment, "announced_url", domain)
    with served(cloud, announced=announced) as url:
        step, _ = first_step(cloud, tmp_path, enrollment_url=url, api_url=url)
    assert not step["ok"]
    assert f"devices are told the enrollment URL {announced}, and the stack's outputs say {domain}" in step["detail"]
