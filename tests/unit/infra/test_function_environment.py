"""What Lambda measures of a function's environment, measured before it is deployed."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_cdk import Fn, Stack
from aws_cdk.assertions import Annotations, Match
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.function_environment import MAX_BYTES, check_environment, length_in_json, length_of_ca
from infra.setting_readers import SettingsError
from pki.certificates import ca_certificate


def measured(environment: dict[str, str]) -> int:
    """As Lambda's refusal quotes what it has measured: ``String measured: {"NAME":"value",…}``."""
    return len(json.dumps(environment, separators=(",", ":"), ensure_ascii=False).encode())


def filled(size: int) -> dict[str, str]:
    """An environment of so many bytes, with what JSON escapes and what UTF-8 makes longer."""
    environment = {"FLEET": "zymkey", "TOPICS": '{"publish": ["ü/{device}"]}', "CERTIFICATE_SUBJECT": ""}
    environment["CERTIFICATE_SUBJECT"] = "x" * (size - measured(environment))
    assert measured(environment) == size
    return environment


def test_the_last_byte_is_taken_and_one_more_is_refused() -> None:
    check_environment(Stack(), "enrollment", filled(MAX_BYTES), unknown={})
    with pytest.raises(SettingsError) as refused:
        check_environment(Stack(), "enrollment", filled(MAX_BYTES + 1), unknown={})
    assert "for the function enrollment, but Lambda takes 4,096: certificateSubject takes " in str(refused.value)


def test_the_sentence_names_the_largest_first_and_no_small_ones() -> None:
    environment = {"TOPICS": "t" * 1500, "CA_CERTIFICATES": Fn.ref("Ca"), "FLEET": "f" * 31}
    with pytest.raises(SettingsError) as refused:
        check_environment(Stack(), "enrollment", environment, unknown={"CA_CERTIFICATES": (3000, 3000)})
    sentence = str(refused.value)
    assert sentence.index("certificateAuthorities (fewer") < sentence.index("topics takes 1,5")
    assert "FLEET" not in sentence


def test_what_may_fit_is_warned_of_since_a_deployment_may_work_with_it() -> None:
    stack = Stack()
    environment = {"TOPICS": "t" * 900, "CA_CERTIFICATES": Fn.ref("Ca"), "LEDGER_TABLE": Fn.ref("Table")}
    check_environment(stack, "enrollment", environment, unknown={"CA_CERTIFICATES": (2900, 3000)})
    assert not Annotations.from_stack(stack).find_warning("*", Match.any_value())
    check_environment(stack, "enrollment", environment, unknown={"CA_CERTIFICATES": (3000, 3300)})
    assert Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp("If the deployment fails for it"))


@pytest.mark.parametrize("organization", ["", "Acme", "ü" * 64])
@pytest.mark.parametrize("common_name", ["CA", "x" * 64])
@pytest.mark.parametrize("years", [1, 50])
def test_no_ca_is_longer_than_the_bound_and_the_bound_is_close(common_name: str, organization: str, years: int) -> None:
    names: dict[str, Any] = {"common_name": common_name, "organization": organization, "validity_years": years}
    shortest, bound = length_of_ca(**names)
    for _ in range(20):
        first_release = ca_certificate(signer=ec.generate_private_key(ec.SECP256R1()), now=datetime.now(UTC), **names)
        assert shortest <= length_in_json(first_release.public_bytes(Encoding.PEM).decode()) <= shortest + 40
        certificate = ca_certificate(
            signer=ec.generate_private_key(ec.SECP256R1()),
            now=datetime.now(UTC),
            distinguisher=str(uuid.uuid4()),  # a key's id
            **names,
        )
        length = length_in_json(certificate.public_bytes(Encoding.PEM).decode())
        assert length <= bound <= length + 40
