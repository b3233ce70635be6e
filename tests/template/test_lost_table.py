"""A ledger's table that `zymkey-fleet restore` makes again is the one that the template declares."""

from fleet import lost_table
from tests.template.synthesis import synthesize


def test_a_table_that_is_made_again_is_as_the_template_declares_it() -> None:
    declared = dict(synthesize().trust.only("AWS::DynamoDB::Table"))
    made = lost_table.definition()
    for later in ("PointInTimeRecoverySpecification", "TimeToLiveSpecification", "Tags"):
        declared.pop(later, None)
    assert made == declared


def test_what_cannot_be_said_when_it_is_made_is_switched_on_afterwards() -> None:
    declared = synthesize().trust.only("AWS::DynamoDB::Table")
    asked = {}

    class Client:
        def get_waiter(self, name: str) -> "Client":
            return self

        def wait(self, **_: object) -> None:
            pass

        def update_continuous_backups(self, **options: object) -> None:
            asked["PointInTimeRecoverySpecification"] = options["PointInTimeRecoverySpecification"]

        def describe_time_to_live(self, **_: object) -> dict[str, object]:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}

        def update_time_to_live(self, **options: object) -> None:
            asked["TimeToLiveSpecification"] = options["TimeToLiveSpecification"]

    lost_table.finish(Client(), "ledger")
    assert asked == {name: declared[name] for name in asked}
    assert len(asked) == 2
