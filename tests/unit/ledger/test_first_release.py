"""An operator's command of the first release works on a table that this release writes to, and the reverse.

Both at once: an update of the deployment does not update the operators' machines.
"""

import json
import subprocess
import sys

import pytest

from ledger import State
from tests.support.emulator import CREDENTIALS
from tests.support.ledger import KEY, NOW, OTHER_KEY, certificate, claim, invite
from tests.support.release import FIRST_RELEASE, sources_of

# What its commands call: ``list``, ``show``, ``history``, ``pending``; ``reject``, ``approve``, ``invite``, ``block``.
PROGRAM = f"""
import json, sys
import boto3
from ledger import Ledger
ledger = Ledger(client=boto3.client("dynamodb", endpoint_url=sys.argv[1], region_name="us-east-1"), table=sys.argv[2])
seen = {{
    "devices": [(each.name, each.state, each.certificate_id) for each in ledger.devices()],
    "certificates": [(each.certificate_id, each.state) for each in ledger.certificates("pi-1")],
    "history": [each.what for each in ledger.history("pi-1")],
    "requests": [(each.fingerprint, each.suggested_name, each.rejected) for each in ledger.requests()],
}}
ledger.reject({OTHER_KEY!r}, now={NOW})
ledger.allow("pi-3", fingerprint="SHA256:" + "e" * 43, by="bob", now={NOW}, approved=True)
ledger.invite("pi-4", token_hash="f" * 64, token_expires={NOW} + 60, by="bob", now={NOW})
ledger.request(fingerprint="SHA256:" + "g" * 43, suggested_name="pi-5", now={NOW})
ledger.block("pi-1", by="bob", now={NOW})
print(json.dumps(seen))
"""


@pytest.fixture(scope="session")
def first_release(tmp_path_factory):
    return sources_of(FIRST_RELEASE, tmp_path_factory.mktemp("first-release"))


def test_an_operator_s_command_of_the_first_release_works_on_this_release_s_table(
    ledger, table, aws_address, first_release
):
    invite(ledger)
    claim(ledger)
    first, second = certificate(1), certificate(2)
    for each in (first, second):
        ledger.acquire_lease("pi-1", fingerprint=KEY, lease="mine", lease_until=NOW + 99, now=NOW + 99)
        ledger.record_certificate(each, lease="mine", now=NOW)
        ledger.make_current(each, lease="mine", now=NOW)
    for fingerprint in (OTHER_KEY, "SHA256:" + "e" * 43):
        ledger.hold_for_approval(fingerprint=fingerprint, suggested_name="pi-9", source="192.0.2.7", now=NOW)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, aws_address, table],
        cwd=first_release,
        env=CREDENTIALS,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["devices"] == [["pi-1", "enrolled", second.certificate_id]]
    assert sorted(map(tuple, seen["certificates"])) == [
        (first.certificate_id, "superseded"),
        (second.certificate_id, "active"),
    ]
    assert seen["history"][:2] == ["invited", "claimed"]
    assert len(seen["requests"]) == 2

    assert ledger.device("pi-1").state is State.BLOCKED
    assert ledger.unblock("pi-1", by="alice", now=NOW).certificate_id == second.certificate_id
    assert ledger.device("pi-3").fingerprint == "SHA256:" + "e" * 43
    assert claim(ledger, "pi-4", fingerprint="SHA256:" + "h" * 43, token_hash="f" * 64).state is State.PENDING
    waiting = {each.fingerprint: (each.rejected, each.source) for each in ledger.requests()}
    assert waiting == {OTHER_KEY: (True, "192.0.2.7"), "SHA256:" + "g" * 43: (False, "")}
