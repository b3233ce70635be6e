"""PEM as people have it, and the DER below it: what is found, and that nothing else is raised or waited for."""

import base64
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki import der
from pki.armour import ArmourError, Block, armour, unwrap
from pki.kinds import CERTIFICATE, CSR, PRIVATE_KEY, PUBLIC_KEY, holds_private_key, kind_of
from pki.names import CommonName, read_common_names
from tests.support.der import BMP, UTF8, name, tlv
from tests.support.fleet.authority import CA

CONTENT = bytes(range(100))
PEM = armour("X", CONTENT).encode()


def test_pem_is_lines_of_64_characters():
    assert CA.public_bytes(Encoding.PEM).decode() == armour("CERTIFICATE", CA.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        (PEM, [Block("X", CONTENT)]),
        (
            b"before" + PEM + b"between" + armour("Y Z", b"1").encode() + b"after",
            [Block("X", CONTENT), Block("Y Z", b"1")],
        ),
        (PEM.replace(b"X-----\n", b"X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n", 1), [Block("X", CONTENT)]),
        (b"-----END OLD-----\n" + PEM, [Block("X", CONTENT)]),
        (base64.b64encode(CONTENT), [Block("", CONTENT)]),
        (b"\x30\x81" + CONTENT, [Block("", b"\x30\x81" + CONTENT)]),
        (b"0123", [Block("", base64.b64decode(b"0123"))]),  # text may begin with the digit 0, which is DER's SEQUENCE
    ],
)
def test_what_is_wrapped_is_found(text, blocks):
    assert unwrap(text) == blocks


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"%", "is not base64"),
        (b"-----BEGIN X-----\nAAA\n-----END X-----", "is not base64"),
        (b"-----BEGIN X-----\nAAAA", "END line is missing: -----END X-----"),
        (b"-----BEGIN X-----\nAAAA\n-----BEGIN Y-----\nAAAA\n-----END Y-----", "END line is missing: -----END X-----"),
        (b"-----BEGIN X-----\nAAAA\n-----END Y-----", "begins as X and ends as Y"),
        (b"-----BEGIN\nAAAA\n-----END", "is damaged"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text, reason):
    with pytest.raises(ArmourError, match=reason):
        unwrap(text)


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: f"-----BEGIN {text}-----".encode()))
def test_bytes_of_any_kind_are_unwrapped_or_refused(data):
    try:
        blocks = unwrap(data)
    except ArmourError:
        return
    assert blocks
    for each in blocks:
        kind_of(each)


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN A-----\n" * 3600,
        b"-----BEGIN" + b" " * 65_000,
        b"-----" + b" " * 65_000,
        (b"-----BEGIN" + b" " * 500) * 128,
        b"-----BEGIN A" + b" " * 65_000,
        b"-" * 65_000,
        b"-----BEGIN " * 6000,
        b"-----BEGIN A-----" + b"A" * 65_000,
        b"-----BEGIN A-----" + b"A:\n" * 21_000,
    ],
    ids=lambda text: text[:17].decode(),
)
def test_no_text_costs_more_than_another_of_its_length(text):
    begun = time.process_time()
    with pytest.raises(ArmourError):
        unwrap(text)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    "boundary", [b"-----BEGIN  A B -----\nMAA=\n-----END  A B -----", b"-----BEGIN A B-----MAA=----- END A B-----"]
)
def test_blanks_in_a_boundary_are_no_part_of_the_label(boundary):
    assert unwrap(boundary) == [Block("A B", b"0\0")]


def test_a_block_is_called_by_its_label_or_by_what_it_is():
    labels = [
        "CERTIFICATE",
        "X509 CERTIFICATE",
        "NEW CERTIFICATE REQUEST",
        "EC PRIVATE KEY",
        "RSA PUBLIC KEY",
        "X509 CRL",
    ]
    assert [kind_of(Block(label, b"")) for label in labels] == [
        *(CERTIFICATE, CERTIFICATE, CSR, PRIVATE_KEY, PUBLIC_KEY),
        "a certificate revocation list",
    ]
    assert kind_of(Block("", CA.public_bytes(Encoding.DER))) == CERTIFICATE
    assert kind_of(Block("", CONTENT)) is None
    assert holds_private_key([Block("X", b""), Block("ENCRYPTED PRIVATE KEY", b"")])
    assert not holds_private_key([Block("PUBLIC KEY", b"")])


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_of_der_raise_anything_else(data):
    try:
        for each in der.read(data).children():
            each.children()
            der.dotted(each)
    except der.DerError:
        return


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 70_000])
def test_an_element_has_its_tag_its_content_and_its_bytes(length):
    content = b"\x01" * length
    whole = tlv(0x04, content)
    assert der.read(whole) == der.Element(0x04, content, whole)
    assert der.read(tlv(0x30, whole, whole)).children() == [der.read(whole)] * 2
    for wrong in (whole[:-1], whole + b"\0"):
        with pytest.raises(der.DerError):
            der.read(wrong)


@pytest.mark.parametrize("wrong", ["", "04", "0480", "0485010000000000", "0482ff", "1f", "1f81"])
def test_what_is_no_element_is_refused(wrong):
    with pytest.raises(der.DerError):
        der.read(bytes.fromhex(wrong))


def test_a_tag_of_several_bytes_is_skipped():
    assert der.read(bytes.fromhex("1f81010141")).content == b"A"


@given(st.sampled_from([0, 1, 2]), st.integers(0, 39), st.lists(st.integers(0, 2**40), max_size=6))
def test_object_identifiers_are_read_as_numbers_with_dots(first, second, rest):
    text = ".".join(map(str, [first, second, *rest]))
    content = b"".join(_base_128(number) for number in (40 * first + second, *rest))
    assert der.dotted(der.read(tlv(0x06, content))) == text


def _base_128(number):
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))


@pytest.mark.parametrize("content", [b"", b"\x2a\x83"])
def test_an_object_identifier_that_is_cut_off_is_refused(content):
    with pytest.raises(der.DerError, match="cut off"):
        der.dotted(der.read(tlv(0x06, content)))


def test_every_common_name_of_a_name_is_found_in_its_order():
    several = name(("CN", UTF8, b"pi-1"), ("O", UTF8, b"\xff"), ("CN", BMP, b"\0x"))
    assert read_common_names(der.read(several)) == (CommonName("pi-1"), CommonName("x", "BMPString"))
    assert read_common_names(der.read(name())) == ()


@pytest.mark.parametrize("first", [0x80, 0x85, 0xFF])
def test_a_length_that_der_does_not_have_is_none(first):
    """0x80 begins BER's indefinite form, 0xff is reserved, and nothing here needs more than four bytes."""
    with pytest.raises(der.DerError, match="DER does not have"):
        der.read(bytes([der.SEQUENCE, first]) + bytes(300))
