"""The one logger. Each line is JSON and carries the device's name and its key's fingerprint, once they are known."""

from aws_lambda_powertools import Logger

log = Logger()


def about(*, device: str | None = None, fingerprint: str | None = None) -> None:
    """Say which device and key the lines that follow are about."""
    known = {"device": device, "fingerprint": fingerprint}
    log.append_keys(**{key: value for key, value in known.items() if value is not None})
