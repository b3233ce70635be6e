"""`cdk destroy` takes nothing away from devices; `purge` takes all of it."""

from collections.abc import Sequence
from pathlib import Path

from tests.end_to_end.live_deployment.fleet import Fleet, assert_all_work
from tests.support.cloud.commands import Command, RaspberryPi


def destroying_takes_nothing_away(fleet: Fleet, devices: Sequence[RaspberryPi]) -> None:
    """It gets stuck on nothing, and policy, certificates, CAs and ledger are kept."""
    registered = fleet.registered()

    fleet.listed = fleet.zymkey_fleet("list", "--json").json
    fleet.destroy()

    assert fleet.registered() == registered
    for pi in devices:
        assert fleet.cloud.certificates_of(pi.name)[pi.certificate_id] == "ACTIVE"
        assert fleet.cloud.policies_of(pi.certificate_id) == [fleet.cloud.outputs["IotPolicy"]]
        device = fleet.cloud.ledger.device(pi.name)
        assert device is not None
        assert (device.state, device.certificate_id) == ("enrolled", pi.certificate_id)
    assert_all_work(devices)


def in_the_end_all_of_it_goes(fleet: Fleet, folder: Path) -> None:
    """The ledger is an adopted one, two CAs and Amazon have signed, and an operator still holds a policy."""
    purge = Command("zymkey-fleet", fleet.sandbox.env)
    dynamodb, iot, iam = (fleet.sandbox.boto(each) for each in ("dynamodb", "iot", "iam"))
    stranger = iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
    assert "is deployed" in purge("purge", "--dry-run", code=1).err
    fleet.destroy()
    found = purge("purge", "--dry-run", "--json").json["found"]
    assert (found["things"], found["table"]) == (len(fleet.listed) + 1, fleet.cloud.outputs["LedgerTable"])
    # Users of the sandbox's operator, who is a person of this fleet.
    held = [each["UserName"] for each in iam.list_users()["Users"]]
    kept = purge("purge", "--confirm", "zymkey", "--backup", folder / "last.jsonl", "--json", code=1).json["kept"]
    assert any(name in reason for name in held for reason in kept), kept

    for user in held:
        for each in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=user, PolicyArn=each["PolicyArn"])
    purge("purge", "--confirm", "zymkey", "--no-backup")

    assert dynamodb.list_tables()["TableNames"] == []
    assert [each["certificateId"] for each in iot.list_certificates()["certificates"]] == [stranger]
    assert iot.list_things()["things"] == []
    assert iot.list_policies()["policies"] == []
    assert iot.list_ca_certificates()["certificates"] == []
    assert [each for each in iam.list_policies(Scope="Local")["Policies"] if "zymkey-Trust" in each["PolicyName"]] == []
