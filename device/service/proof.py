"""Whether the service reaches its key: one signature, by the service's user and under the restrictions of its units."""

import json
from contextlib import suppress
from pathlib import Path

from ..errors import KeyUnavailable, UsageError
from ..storage import storage_errors
from .systemctl import Systemd
from .unit_files import PROOF, Service, proof

# Units of the running system alone, which are gone after a boot.
RUNTIME_UNITS = Path("/run/systemd/system")

SEE_WHY = "see why: journalctl -u zymkey-iot-proof; sudo zymkey-iot doctor --only signature is the same as root"


def prove_key(systemd: Systemd, service: Service) -> str:
    """Start a unit that signs once; return what it says of the key.

    Raises:
        KeyUnavailable: the service does not reach the key, and what to do about it.
        UsageError: systemd could not be told.
        StorageError: the unit cannot be written.
    """
    unit, output = RUNTIME_UNITS / PROOF, RUNTIME_UNITS.parent / "zymkey-iot-proof.json"
    with storage_errors(unit):
        unit.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)
        unit.write_text(proof(service, output), encoding="utf-8")
    try:
        systemd.reload()
        failure = None
        try:
            systemd.run_to_end(PROOF)
        except UsageError as error:
            failure = error
        return _read(output, failure)
    finally:
        unit.unlink(missing_ok=True)
        output.unlink(missing_ok=True)
        with suppress(UsageError):
            systemd.forget(PROOF)
            systemd.reload()


def _read(output: Path, failure: UsageError | None) -> str:
    """The fingerprint, from doctor's JSON; without JSON, systemd could not run the command at all."""
    try:
        document = json.loads(output.read_bytes())
        checks = document["checks"]
    except (OSError, ValueError, KeyError, TypeError):
        why = failure.cause if failure else "it said nothing."
        raise KeyUnavailable(f"the service is installed, but cannot run: {why}", cure=SEE_WHY) from None
    for check in checks:
        if check["status"] in ("failed", "skipped"):
            raise KeyUnavailable(
                f"the service is installed, but does not reach its key: {check['text']}",
                cure=check.get("try") or SEE_WHY,
            )
    if failure is not None:
        raise KeyUnavailable(f"the service is installed, but fails: {failure.cause}", cure=SEE_WHY)
    return ", ".join(check["text"] for check in checks)
