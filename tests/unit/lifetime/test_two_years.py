"""Two years of a fleet: renewals, a rotated CA, blocked, replaced and removed devices, and lost replies at random.

At no moment is a device that should work without a certificate that works; in the end the ledger and AWS IoT agree, and
AWS IoT holds nothing that should be gone. `make test-slow` runs 200 devices; a few run always.
"""

import io
import random

import pytest

from functions.log import log
from tests.support.fleet.deployment import deploy as deploy_for_the_command
from tests.support.functions_deployed import new_kms_authority
from tests.support.lifetime.clock import Clock
from tests.support.lifetime.world import World

DAYS = 730


@pytest.fixture
def world(deploy, region, run, issuer, devices, aws, breakable_aws, monkeypatch):
    cloud = deploy_for_the_command(aws, monkeypatch, issuer)
    functions = deploy(issuer, fleet=cloud.fleet, ledger_table=cloud.table, iot_policy=cloud.policy)
    clients = aws("iot"), breakable_aws("iot")
    monkeypatch.setattr(log, "stream", io.StringIO())  # what the functions say is none of the command's answer
    with Clock() as clock:
        chance = random.Random(f"{issuer} {devices}")  # noqa: S311  the same two years each time
        world = World(functions, run, clock, chance)
        world.watch.look_at(*clients)
        yield world
        world.watch.forget(*clients)


@pytest.mark.parametrize("devices", [7, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("issuer", ["kms", "aws"])
def test_two_years(world, issuer, devices, aws):
    names = [f"{issuer}-years-{number}" for number in range(devices)]
    chance = world.chance
    for name in names:
        world.on_day(chance.random() * 20, lambda name=name: world.invite(name))
    for name in chance.sample(names, devices // 3):
        day = 30 + chance.random() * 600
        world.on_day(day, lambda name=name: world.block(name))
        world.on_day(day + chance.random() * 60, lambda name=name: world.unblock(name))
    for name in chance.choices(names, k=devices):  # some of them twice, and some of those in a row
        world.on_day(30 + chance.random() * 650, lambda name=name: world.renew(name))
    *broken, gone = chance.sample(names, 1 + devices // 4)
    for name in broken:
        world.on_day(60 + chance.random() * 600, lambda name=name: world.replace(name))
    world.on_day(300 + chance.random() * 300, lambda: world.remove(gone))
    world.every(60, world.audit, until=DAYS)
    if issuer == "kms":
        world.on_day(240, lambda: world.rotate(*new_kms_authority(aws)))
        world.on_day(620, world.retire)
    world.every(10, world.sweep, until=DAYS)
    world.every(120, world.check, until=DAYS)
    world.run(until=DAYS)
    world.check()
    world.wind_down()
    world.check()
    world.check_that_nothing_is_left()
    assert world.broken, "nothing went wrong: nothing was tried"
    assert world.watch.looks
