"""A deployment is changed under a fleet at work: a refused change, a CA rotated in KMS, another issuer, its end.

With the real commands, and devices that publish all the while. In a sandbox of its own: CAs are not taken back, and
nothing here may touch the sandbox of the other tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.deployment import THING_GROUP
from tests.end_to_end.live_deployment.another_deployment import (
    another_deployment_takes_over_what_is_left,
    with_amazons_issuer_too_and_changed_topics_reach_the_adopted_policy,
)
from tests.end_to_end.live_deployment.another_issuer import (
    another_issuer_and_a_domain_change_nothing_for_devices_that_are_in,
    takes_up_the_domain,
)
from tests.end_to_end.live_deployment.audit import what_drifts_is_found_by_the_daily_audit
from tests.end_to_end.live_deployment.fleet import OLD, Fleet, assert_all_work, issuer_of
from tests.end_to_end.live_deployment.monitoring import (
    alarms_of_both_stacks_reach_the_address,
    what_the_fleet_did_is_counted_in_its_logs,
)
from tests.end_to_end.live_deployment.rotation import (
    a_second_ca_issues_from_now_on,
    another_ca_under_the_same_name_is_refused_and_taken_back,
    it_stays_retired_by_the_setting,
    its_key_goes_and_nothing_is_left_of_the_rotation,
    the_first_one_is_retired_once_no_device_stands_on_it,
    the_next_step_is,
)
from tests.end_to_end.live_deployment.tear_down import destroying_takes_nothing_away, in_the_end_all_of_it_goes
from tests.support.cloud.domain import WayToDomain
from tests.support.ports import free_ports


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    gateway, https, mqtt = free_ports(3)
    own = Addresses(gateway_port=gateway, https_port=https, mqtt_port=mqtt, directory=tmp_path / "sandbox")
    yield own
    lifecycle.stop(own, print)


@pytest.fixture
def way(addresses: Addresses) -> Iterator[WayToDomain]:
    with WayToDomain(addresses) as proxy:
        yield proxy


def test_a_fleet_at_work_outlives_a_refused_change_a_rotated_ca_another_issuer_and_the_stacks_themselves(
    addresses: Addresses, tmp_path: Path, way: WayToDomain
) -> None:
    fleet = Fleet(addresses, tmp_path, way)
    fleet.deploy(OLD)
    fleet.cloud.iot.create_thing_group(thingGroupName=THING_GROUP)
    veteran = fleet.new_device()
    assert issuer_of(veteran) == "the old CA"

    another_ca_under_the_same_name_is_refused_and_taken_back(fleet, veteran)
    the_next_step_is(fleet, "successor")
    newcomer = a_second_ca_issues_from_now_on(fleet, veteran)
    mqtt_without_a_thing_is_refused(fleet)
    with fleet.watched(veteran, newcomer) as watcher:
        the_first_one_is_retired_once_no_device_stands_on_it(fleet, veteran, newcomer)
        devices = [veteran, newcomer, it_stays_retired_by_the_setting(fleet, veteran)]
        what_drifts_is_found_by_the_daily_audit(fleet, newcomer)
        its_key_goes_and_nothing_is_left_of_the_rotation(fleet)
        assert_all_work(devices)
    assert (watcher.problems, watcher.looks > 5) == ([], True)
    mqtt_without_a_thing_is_refused(fleet)
    alarms_of_both_stacks_reach_the_address(fleet)
    what_the_fleet_did_is_counted_in_its_logs(fleet)
    devices.append(another_issuer_and_a_domain_change_nothing_for_devices_that_are_in(fleet, devices))
    takes_up_the_domain(newcomer)
    destroying_takes_nothing_away(fleet, devices)
    adopt = another_deployment_takes_over_what_is_left(fleet, devices, tmp_path)
    with_amazons_issuer_too_and_changed_topics_reach_the_adopted_policy(fleet, devices, adopt)
    in_the_end_all_of_it_goes(fleet, tmp_path)


def mqtt_without_a_thing_is_refused(fleet: Fleet) -> None:
    """To one throw-away device while the setting is ``try``, to all with ``deny``; HTTPS is left alone."""
    observed = fleet.zymkey_fleet("verify", "--json").json["observations"]
    assert (observed["mqttWithoutThing"], observed["mqttWithoutThingCanBeDenied"]) == ("refused", True)
