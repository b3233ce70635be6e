"""The daily audit deletes what has been out of use for a month, and finds what drifts."""

import json
import time

from pki.fingerprint import certificate_id
from tests.end_to_end.live_deployment.fleet import (
    Fleet,
)
from tests.support.cloud.commands import RaspberryPi

DAY = 86_400


def a_month_later_it_is_gone(fleet: Fleet, pi: RaspberryPi, old_id: str) -> None:
    """From AWS IoT, by the daily audit; the ledger remembers it."""
    fleet.age(pi, f"certificate#{old_id}", updated_at=int(time.time()) - 31 * DAY)
    assert fleet.run("audit") == {}
    assert fleet.last_audit(code=0) == (1, [])
    assert fleet.cloud.certificates_of(pi.name) == {pi.certificate_id: "ACTIVE"}
    shown = fleet.zymkey_fleet("show", pi.name, "--json").json["certificates"]
    assert {each["certificateId"]: bool(each["deleted"]) for each in shown} == {old_id: True, pi.certificate_id: False}


def what_drifts_is_found_by_the_daily_audit(fleet: Fleet, pi: RaspberryPi) -> None:
    """Somebody works by hand on the policy, a thing, and (in KMS) with the CA's key; and takes it back."""
    iot, policy = fleet.cloud.iot, fleet.cloud.outputs["IotPolicy"]
    before = iot.get_policy(policyName=policy)
    document = json.loads(before["policyDocument"])
    document["Statement"][0]["Sid"] = "Changed"
    changed = iot.create_policy_version(policyName=policy, policyDocument=json.dumps(document), setAsDefault=True)
    mark = iot.describe_thing(thingName=pi.name)["attributes"]
    another = {"attributes": dict.fromkeys(mark, "another"), "merge": True}
    iot.update_thing(thingName=pi.name, attributePayload=another)
    expected: dict[str, int] = {"policy-drifted": 1, "thing-foreign": 1}
    in_kms = fleet.cloud.outputs["Issuer"] == "kms"
    if in_kms:
        fleet.cloud.ledger.count_signature(certificate_id(fleet.authorities()["the new CA"]))
        expected["unrecorded-signatures"] = 1

    assert fleet.run("audit") == expected
    told = [("policy-drifted", None), ("thing-foreign", pi.name), *([("unrecorded-signatures", None)] * in_kms)]
    assert fleet.last_audit() == (0, told)

    iot.set_default_policy_version(policyName=policy, policyVersionId=before["defaultVersionId"])
    iot.delete_policy_version(policyName=policy, policyVersionId=changed["policyVersionId"])
    iot.update_thing(thingName=pi.name, attributePayload={"attributes": mark, "merge": True})
    assert fleet.run("audit") == {}
    assert fleet.zymkey_fleet("audit", "--json").json == []
