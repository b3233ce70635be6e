"""What `audit --last` says of the daily audit in AWS: it reads the ledger alone."""

import time

import pytest

from ledger import AuditRecord
from ledger.audits import KEPT_SECONDS, MOST_KEPT

FINDING = {"kind": "unknown", "device": None, "certificateId": "c" * 64, "detail": ""}


def keep(cloud, *findings, ended=None, **members):
    ended = int(time.time()) if ended is None else ended
    counts = {}
    for each in findings:
        counts[each["kind"]] = counts.get(each["kind"], 0) + 1
    record = AuditRecord(**{"began": ended - 60, "ended": ended, "complete": True, "counts": counts, **members})
    return cloud.ledger.keep_audit(record, findings)


def test_before_the_first_run_it_says_what_to_do(run, cloud):
    answer = run("audit", "--last")
    assert answer.code == 1
    assert "No audit has run in AWS yet." in answer.err
    assert "zymkey-fleet audit" in answer.err


def test_a_fleet_in_order_is_said_to_be_with_the_time_of_the_run(run, cloud):
    keep(cloud, ended=1_800_000_060, devices=3, certificates=5, deleted=2)
    answer = run("audit", "--last")
    assert answer.code == 0
    assert answer.out == (
        "Audit of 2027-01-15T08:00:00Z: 3 devices, 5 certificates; 2 deleted from AWS IoT, 0 left to delete.\n"
        "The ledger and AWS IoT agree.\n"
    )


def test_what_it_has_found_is_shown_and_is_the_exit_code(run, cloud):
    keep(cloud, FINDING, {**FINDING, "kind": "missing", "device": "pi-1"})
    answer = run("audit", "--last")
    assert answer.code == 1
    assert [line.split() for line in answer.out.splitlines()[1:]] == [
        ["KIND", "DEVICE", "CERTIFICATE"],
        ["unknown", "-", "c" * 64],
        ["missing", "pi-1", "c" * 64],
    ]
    assert "missing: active in the ledger, but AWS IoT does not have it." in answer.err
    answer = run("audit", "--last", "--json")
    assert answer.code == 1
    assert answer.json["counts"] == {"unknown": 1, "missing": 1}
    assert answer.json["findings"][0] == FINDING
    assert set(answer.json) == {
        *("began", "ended", "complete", "why", "devices", "certificates", "deleted", "leftToDelete", "counts"),
        "findings",
    }


def test_an_incomplete_run_is_told_and_is_no_agreement(run, cloud):
    keep(cloud, complete=False, why="an AWS call failed: no")
    answer = run("audit", "--last")
    assert answer.code == 1
    assert "It is not complete: an AWS call failed: no." in answer.out
    assert "agree" not in answer.out


def test_a_run_of_three_days_ago_is_told_to_be_old(run, cloud):
    keep(cloud, ended=int(time.time()) - 3 * 86_400)
    assert "AuditNotRun" in run("audit", "--last").err


def test_a_finding_of_a_later_release_than_this_command_is_shown(run, cloud):
    keep(cloud, {**FINDING, "kind": "a-new-kind"})
    assert "a-new-kind" in run("audit", "--last").out


def test_more_findings_than_are_kept_are_counted(run, cloud):
    record = keep(cloud, *({**FINDING, "device": f"pi-{number}"} for number in range(MOST_KEPT + 5)))
    assert (record.counts, record.kept) == ({"unknown": MOST_KEPT + 5}, MOST_KEPT)
    answer = run("audit", "--last")
    assert "5 more were counted" in answer.err
    assert answer.out.count("pi-") == MOST_KEPT


def test_findings_expire_and_the_record_stays(aws, cloud):
    record = keep(cloud, FINDING)
    items = aws("dynamodb").scan(TableName=cloud.table)["Items"]
    expiring = {each["sk"]["S"]: int(each["expires_at"]["N"]) for each in items if "expires_at" in each}
    assert expiring == {f"findings#{record.run}#000000": record.ended + KEPT_SECONDS}
    assert "last" in {each["sk"]["S"] for each in items}


@pytest.mark.parametrize("words", [["--fix", "--last"]])
def test_the_last_run_is_looked_at_and_not_repaired(run, cloud, words):
    assert run("audit", *words).code == 2
