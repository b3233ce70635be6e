"""Amazon's CA issues in the place of the fleet's own, and the enrollment URL is a domain's."""

import shutil
from collections.abc import Sequence

from tests.end_to_end.live_deployment.audit import a_month_later_it_is_gone, what_drifts_is_found_by_the_daily_audit
from tests.end_to_end.live_deployment.fleet import ACCESS_LOG, NEW, Fleet, assert_all_work, issuer_of
from tests.support.cloud import domain
from tests.support.cloud.commands import Command, RaspberryPi, until


def another_issuer_and_a_domain_change_nothing_for_devices_that_are_in(
    fleet: Fleet, devices: Sequence[RaspberryPi]
) -> RaspberryPi:
    """Same API, same ledger, same policy; the CAs stay registered. Returns a device that Amazon's CA certifies."""
    outputs, registered, certificates = fleet.cloud.outputs, fleet.registered(), {pi.certificate_pem for pi in devices}

    fleet.deploy(NEW, issuer="aws", domain=domain.SETTING, mqttWithoutThing="deny")

    new = {"Issuer": "aws", "EnrollmentUrl": domain.URL}
    new |= {name: fleet.cloud.outputs[name] for name in ("DomainTarget", "Declared")}
    assert fleet.cloud.outputs == {**outputs, **new}
    assert fleet.registered() == registered
    assert fleet.tags() == {}
    assert ACCESS_LOG not in fleet.log_groups()
    for pi in devices:
        shutil.rmtree(pi.state)
        pi.zymkey_iot("bootstrap")
    assert {pi.certificate_pem for pi in devices} == certificates
    amazons = fleet.new_device()
    assert issuer_of(amazons) not in ("the old CA", "the new CA")
    assert_all_work([*devices, amazons])
    what_amazon_s_ca_has_renewed_leaves_aws_iot_too(fleet, amazons)
    return amazons


def what_amazon_s_ca_has_renewed_leaves_aws_iot_too(fleet: Fleet, pi: RaspberryPi) -> None:
    old_id = pi.certificate_id
    fleet.zymkey_fleet("renew", pi.name)
    assert "Renewed" in pi.zymkey_iot("renew").out
    until(lambda: fleet.cloud.certificates_of(pi.name)[old_id] == "INACTIVE")
    a_month_later_it_is_gone(fleet, pi, old_id)
    what_drifts_is_found_by_the_daily_audit(fleet, pi)
    assert_all_work([pi])


def takes_up_the_domain(pi: RaspberryPi) -> None:
    """As every device does at its next renewal. The sandbox's own variable, which would win, is gone from then on."""
    environment = {name: value for name, value in pi.zymkey_iot.environment.items() if name != "ENROLLMENT_URL"}
    pi.zymkey_iot = Command("zymkey-iot", environment)
    before = pi.zymkey_iot("status", "--json").json["url"]
    pi.zymkey_iot("renew", code=13)
    now = pi.zymkey_iot("status", "--json").json
    assert (now["url"], now["fallbackUrl"]) == (domain.URL, before)
