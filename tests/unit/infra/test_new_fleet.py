"""``make fleet``: a new deployment's own choices in cdk.json; those of a deployed one are not touched."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.new_fleet import CDK_JSON, new_fleet
from infra.setting_readers import SettingsError
from infra.settings import CONTEXT_KEY, Settings
from infra.topics import Topics
from tests.support.release import FIRST_RELEASE, file_of


@pytest.fixture
def cdk_json(tmp_path: Path) -> Path:
    file = tmp_path / "cdk.json"
    file.write_text(CDK_JSON.read_text())
    return file


def settings_of(file: Path) -> Settings:
    return Settings.from_context(json.loads(file.read_text())["context"])


def test_a_new_fleet_has_its_name_in_its_topics_and_its_ca_and_all_else_stays(cdk_json: Path) -> None:
    before = json.loads(cdk_json.read_text())
    assert "undo it: git checkout cdk.json" in new_fleet("acme", file=cdk_json, year=2031, replace=False)
    settings = settings_of(cdk_json)
    topics = ("acme/{device}/*",)
    assert (settings.fleet, settings.topics) == ("acme", Topics(publish=topics, subscribe=topics))
    (authority,) = settings.certificate_authorities
    assert (authority.name, authority.common_name) == ("2031", "acme fleet CA")

    after = json.loads(cdk_json.read_text())
    for name in ("fleet", "certificateAuthorities", "topics"):
        del before["context"][CONTEXT_KEY][name], after["context"][CONTEXT_KEY][name]
    assert after == before
    assert list(after["context"]) == list(before["context"])


def test_a_second_time_changes_nothing_not_even_what_was_chosen_since(cdk_json: Path) -> None:
    new_fleet("acme", file=cdk_json, year=2031, replace=False)
    chosen = cdk_json.read_text().replace("{fleet}/{device}/*", "plant/{device}/*")
    cdk_json.write_text(chosen)
    assert "nothing is changed" in new_fleet("acme", file=cdk_json, year=2032, replace=False)
    assert cdk_json.read_text() == chosen


@pytest.mark.parametrize(
    "choice",
    [{"fleet": "plant"}, {"topics": {"publish": ["plant/{device}/*"], "subscribe": []}}],
    ids=["another name", "another topic"],
)
def test_the_choices_of_another_fleet_are_replaced_only_when_told(cdk_json: Path, choice: dict[str, Any]) -> None:
    content = json.loads(cdk_json.read_text())
    content["context"][CONTEXT_KEY] |= choice
    cdk_json.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="make fleet NAME=acme REPLACE=yes"):
        new_fleet("acme", file=cdk_json, year=2031, replace=False)
    assert json.loads(cdk_json.read_text()) == content
    new_fleet("acme", file=cdk_json, year=2031, replace=True)
    assert settings_of(cdk_json).fleet == "acme"


def test_a_name_that_no_fleet_can_have_is_refused_in_the_setting_s_words(cdk_json: Path) -> None:
    with pytest.raises(SettingsError, match=r"zymkey-fleet.fleet is \"a/b\", but must be 1 to 31 letters"):
        new_fleet("a/b", file=cdk_json, year=2031, replace=False)


def test_the_file_is_written_as_it_is_shipped(cdk_json: Path) -> None:
    """So that git shows the choices as the difference, and nothing else."""
    content = json.loads(cdk_json.read_text())
    assert cdk_json.read_text() == json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def test_the_topics_of_a_deployment_of_the_first_release_stay_what_they_were() -> None:
    first = json.loads(file_of(FIRST_RELEASE, "cdk.json"))["context"]
    topics = ("devices/{device}/*",)
    assert Settings.from_context(first).topics == Topics(publish=topics, subscribe=topics)
    assert Settings().topics == Settings.from_context(first).topics
