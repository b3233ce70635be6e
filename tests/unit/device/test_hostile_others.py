"""The other commands that speak to an enrollment server, at one that means harm."""

import pytest

from tests.support.device.hostile_configurations import CONFIGURATIONS
from tests.support.device.hostile_replies import BEFORE_HTTP, REPLIES, redirects, replying, response, sampled
from tests.support.device.hostile_server import HostileServer, Script
from tests.support.device.victim import WHOLE, Victim, assert_printable, assert_told

SCRIPTS: dict[str, Script] = {
    **BEFORE_HTTP,
    **REPLIES,
    **redirects("https://elsewhere.invalid"),
    **{name: replying(response(document)) for name, document in CONFIGURATIONS.items()},
}


@pytest.mark.parametrize("what", sampled(SCRIPTS, every=40))
def test_a_renewal_leaves_the_certificate_in_use(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = SCRIPTS[what]
    before = victim.kept()
    assert_told(victim.run("renew", ENROLLMENT_URL=hostile.url), 4, 6, 8, requests=2)
    assert victim.kept() == before


@pytest.mark.parametrize("what", sampled(SCRIPTS, every=40))
def test_doctor_says_what_is_wrong(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = SCRIPTS[what]
    before = victim.kept()
    ending = victim.run("doctor", "--timeout", "0.2", ENROLLMENT_URL=hostile.url)
    assert ending.code != 0, ending.out
    assert "efect" not in ending.out + ending.err
    assert_printable(ending)
    assert ending.seconds < 6 * WHOLE + 4
    assert victim.kept() == before
