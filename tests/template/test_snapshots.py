"""No template changes unseen."""

import difflib
import re

import pytest

from pki.issuers import ISSUERS
from tests.template import permissions_document
from tests.template.snapshots import SNAPSHOTS, current


@pytest.mark.parametrize("name", [f"{issuer}-{stack}.json" for issuer in ISSUERS for stack in ("trust", "enrollment")])
def test_a_template_is_as_it_was_last_looked_at(name: str) -> None:
    path = SNAPSHOTS / name
    assert path.exists(), f"{path} is missing: run `make snapshot`, look at the change, commit it."
    difference = "".join(
        difflib.unified_diff(
            path.read_text().splitlines(keepends=True),
            current()[name].splitlines(keepends=True),
            fromfile="committed",
            tofile="now",
            n=4,
        )
    )
    if difference:
        pytest.fail(
            f"{name} has changed. If it should, run `make snapshot` and commit it.\n{difference}", pytrace=False
        )


def test_there_is_no_snapshot_of_a_template_that_is_no_longer_made() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == set(current())


def test_the_functions_code_is_in_no_snapshot() -> None:
    for path in SNAPSHOTS.iterdir():
        assert not re.search(r"[0-9a-f]{64}\.(zip|json)", path.read_text()), path.name


def test_the_document_of_permissions_lists_what_the_templates_and_cloudformations_schemas_say() -> None:
    assert permissions_document.DOCUMENT.read_text() == permissions_document.document(), "run `make snapshot`"
    # Not the default's alone: what settings ask for is there as well.
    types = permissions_document.types()
    assert {"AWS::ApiGatewayV2::DomainName", "AWS::SNS::Topic", "AWS::IoT::RoleAlias"} <= types
    text = permissions_document.DOCUMENT.read_text()
    assert {kind for kind in types if f"| `{kind}` | " not in text} == set()
