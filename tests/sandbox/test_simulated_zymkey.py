"""The simulated Zymkey under the vendor's own Python module.

What the rest of the project learns from this device (signature counts, failures) is worth what these
tests are worth.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from sandbox.zymkey.build import Built, build
from sandbox.zymkey.device import SimulatedZymkey
from tests.sandbox.p256 import recovered_parity
from tests.sandbox.vendor import DIGEST, ask_module, public_key, verify


@pytest.fixture(scope="module", autouse=True)
def built() -> Built:
    return build()


def test_the_module_loads_the_library_that_was_built(zymkey: SimulatedZymkey, built: Built) -> None:
    (mapped,) = ask_module(zymkey, "[line.split()[-1] for line in open('/proc/self/maps') if 'libzk_app' in line]")
    assert set(mapped) == {str(built.library)}


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_a_digest_is_signed_with_the_key_of_the_slot(zymkey: SimulatedZymkey, slot: int) -> None:
    key, signature = ask_module(zymkey, f"client.get_public_key({slot})", f"client.sign_digest(digest, slot={slot})")
    verify(key, signature)
    assert [signature.slot for signature in zymkey.record()] == [slot]


def test_each_slot_has_a_key_of_its_own_until_the_device_is_swapped(zymkey: SimulatedZymkey) -> None:
    exports = [f"client.get_public_key({slot})" for slot in range(3)]
    keys = ask_module(zymkey, *exports)
    assert len(set(keys)) == 3
    zymkey.reset()
    assert ask_module(zymkey, *exports) == keys
    zymkey.swap()
    assert not set(ask_module(zymkey, *exports)) & set(keys)


def test_a_signature_verifies_under_its_own_slot_alone(zymkey: SimulatedZymkey) -> None:
    assert ask_module(
        zymkey,
        "client.verify_digest(digest, client.sign_digest(digest))",
        "client.verify_digest(digest, client.sign_digest(digest), pubkey_slot=1)",
    ) == [True, "VerificationError: "]


def test_the_recovery_parity_is_that_of_the_signatures_point(zymkey: SimulatedZymkey) -> None:
    sign = "[(bytes(s).hex(), y.value) for s, y in [client.sign_digest(digest, return_recid=True) for _ in range(4)]]"
    key, signatures = ask_module(zymkey, "client.get_public_key()", sign)
    assert [parity for _, parity in signatures] == [
        recovered_parity(bytes.fromhex(key), DIGEST, bytes.fromhex(signature)) for signature, _ in signatures
    ]


def test_the_device_says_who_it_is(zymkey: SimulatedZymkey, tmp_path: Path) -> None:
    identity = ["client.get_model_number()", "client.get_serial_number()", "client.get_firmware_version()"]
    model, serial, firmware = ask_module(zymkey, *identity)
    assert "simulated" in model
    assert "simulated" in firmware
    assert ask_module(zymkey, *identity)[1] == serial
    assert ask_module(SimulatedZymkey(tmp_path / "another"), *identity)[1] != serial


def test_random_bytes_differ(zymkey: SimulatedZymkey) -> None:
    first, second = ask_module(zymkey, "client.get_random(32)", "client.get_random(32)")
    assert len(first) == len(second) == 64
    assert first != second


def test_a_public_key_is_written_as_pem(zymkey: SimulatedZymkey, tmp_path: Path) -> None:
    file = tmp_path / "public.pem"
    raw, _ = ask_module(zymkey, "client.get_public_key(1)", f"client.create_public_key_file({str(file)!r}, 1)")
    assert serialization.load_pem_public_key(file.read_bytes()) == public_key(raw)


@pytest.mark.parametrize("slot", [-1, 3, 16])
def test_a_slot_that_a_zymkey_4_does_not_have_is_refused(zymkey: SimulatedZymkey, slot: int) -> None:
    calls = [f"client.get_public_key({slot})", f"client.sign_digest(digest, slot={slot})"]
    assert ask_module(zymkey, *calls) == ["AssertionError: bad return code -22"] * 2
    assert zymkey.signatures() == 0


def test_what_is_not_simulated_is_an_error(zymkey: SimulatedZymkey) -> None:
    calls = ["client.gen_key_pair('secp256r1')", "client.lock(b'secret')", "client.get_time()", "client.led_on()"]
    assert ask_module(zymkey, *calls) == ["AssertionError: bad return code -38"] * len(calls)


def test_a_key_that_only_an_hsm6_holds_is_shown_but_makes_no_ecdsa_signature(zymkey: SimulatedZymkey) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    zymkey.put_key(1, key.private_bytes(*encodings))
    assert ask_module(zymkey, "client.get_public_key(1)", "client.sign_digest(digest, slot=1)") == [
        key.public_key().public_bytes_raw().hex(),
        "AssertionError: bad return code -22",
    ]


def test_without_a_device_the_client_is_none(zymkey: SimulatedZymkey) -> None:
    zymkey.absent()
    assert ask_module(zymkey, "client is None", "zymkey.create_new_client() is None", "zymkey.Zymkey()") == [
        True,
        True,
        "AssertionError: bad return code -19",
    ]
    zymkey.restore()
    assert ask_module(zymkey, "client is None") == [False]


def test_a_device_unplugged_while_open_fails_every_call(zymkey: SimulatedZymkey) -> None:
    unplug = f"open({str(zymkey.state / 'absent')!r}, 'w').close()"
    answers = ask_module(zymkey, "len(client.sign_digest(digest))", unplug, "client.sign_digest(digest)")
    assert answers == [64, None, "AssertionError: bad return code -19"]


def test_a_bus_that_does_not_answer_fails_every_call_but_open(zymkey: SimulatedZymkey) -> None:
    zymkey.fail(-110)
    calls = ["sign_digest(digest)", "get_public_key()", "get_model_number()", "get_serial_number()", "get_random(8)"]
    answers = ask_module(zymkey, "client is None", *[f"client.{call}" for call in calls])
    assert answers == [False, *["AssertionError: bad return code -110"] * len(calls)]
    assert zymkey.signatures() == 0


def test_a_fault_may_come_from_the_environment(zymkey: SimulatedZymkey) -> None:
    call = "client.get_public_key()"
    assert ask_module(zymkey, call, ZYMKEY_SIMULATOR_FAIL="-5") == ["AssertionError: bad return code -5"]
    assert ask_module(zymkey, "client is None", ZYMKEY_SIMULATOR_ABSENT="1") == [True]


def test_a_fault_that_is_not_a_number_is_an_error_and_not_ignored(zymkey: SimulatedZymkey) -> None:
    (zymkey.state / "fail").write_text("yes")
    assert ask_module(zymkey, "client.get_public_key()") == ["AssertionError: bad return code -74"]


def test_a_slow_device_takes_its_time(zymkey: SimulatedZymkey) -> None:
    timed = "(lambda time: (-time.monotonic(), client.sign_digest(digest), time.monotonic()))(__import__('time'))"
    zymkey.delay(200)
    (seconds,) = ask_module(zymkey, f"sum({timed}[::2])")
    assert seconds >= 0.2


def test_processes_that_start_at_once_share_one_key_and_one_count(zymkey: SimulatedZymkey) -> None:
    calls = ["client.get_public_key(2)", *["client.sign_digest(digest, slot=2)"] * 25]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask_module(zymkey, *calls), range(8)))

    (key,) = {answer[0] for answer in answers}
    for answer in answers:
        for signature in answer[1:]:
            verify(key, signature)
    record = zymkey.record()
    assert len(record) == zymkey.signatures() == 200
    assert {signature.slot for signature in record} == {2}
    assert len({signature.process for signature in record}) == 8
    assert sorted(file.name for file in zymkey.state.iterdir()) == ["signatures", "slot-2.pem"]
