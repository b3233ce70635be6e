"""The key, in three stages of one attempt: the library, the HSM, and the slot. Then a signature."""

import time

from ...errors import DeviceError, LibraryUnusable, SlotUnusable, UsageError
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning


def library(examination: Examination) -> Finding:
    kind = examination.settings.key.partition(":")[0]
    if kind == "engine" and examination.results["openssl-engine"].status is Status.FAILED:
        raise Skipped("OpenSSL has to find the engine first.", needs="openssl-engine")
    if isinstance(examination.key, LibraryUnusable | UsageError):
        raise examination.key
    found = {
        "zymkey": "the vendor's Python module and its library",
        "pkcs11": "the PKCS#11 module",
        "engine": "the OpenSSL engine",
    }
    return ok(found.get(kind, "none, because the key is a software key"))


def hsm(examination: Examination) -> Finding:
    key = examination.key
    if isinstance(key, SlotUnusable):
        return ok("the HSM answers")
    if isinstance(key, DeviceError):
        raise key
    details = key.details()
    if key.warning:
        cure = "use a Zymkey: --key zymkey:" if key.kind == "file" else "check model and firmware: zymkey-iot key"
        return warning(key.warning, cure=cure, **details)
    return ok(", ".join(f"{label} {value}" for label, value in details.items()), **details)


def slot(examination: Examination) -> Finding:
    key = examination.the_key()
    return ok(f"{key.title()}, P-256, {key.fingerprint}", fingerprint=key.fingerprint)


def signature(examination: Examination) -> Finding:
    """Sign a CSR, as a bootstrap does, and verify the signature."""
    from ...csr import make_csr

    started = time.monotonic()
    make_csr(examination.the_key(), examination.settings.name)
    milliseconds = (time.monotonic() - started) * 1000
    return ok(f"made and verified in {milliseconds:.0f} ms", milliseconds=round(milliseconds, 1))
