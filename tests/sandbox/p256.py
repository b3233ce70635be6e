"""Arithmetic on P-256, to hold the device's recovery parity against something that is not OpenSSL."""

Point = tuple[int, int]

# SEC 2, section 2.4.2.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def recovered_parity(public_key: bytes, digest: bytes, signature: bytes) -> int:
    """The parity of the y of (z/s)G + (r/s)Q, the point that a signature r||s of the digest z stands for."""
    z, r, s = (int.from_bytes(part) for part in (digest, signature[:32], signature[32:]))
    q = (int.from_bytes(public_key[:32]), int.from_bytes(public_key[32:]))
    w = pow(s, -1, _N)
    x, y = _add(_multiply(z * w % _N, _G), _multiply(r * w % _N, q))
    assert x % _N == r, "the signature does not verify"
    return y % 2


def _add(one: Point, other: Point) -> Point:
    """Not for a point and its negative: no sum here comes to infinity."""
    if one == other:
        slope = (3 * one[0] ** 2 - 3) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope**2 - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _multiply(factor: int, point: Point) -> Point:
    result = point
    for bit in bin(factor)[3:]:
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result
