"""Other worlds than the one that the sandbox shows by itself: AWS may answer either way, and the product copes."""

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.data_endpoint.registration import SWITCH
from tests.support.cloud.running_sandbox import RunningSandbox


@contextmanager
def https_registers_nothing(sandbox: RunningSandbox) -> Iterator[None]:
    """A first connection over HTTPS registers no certificate; only MQTT does."""
    switch = sandbox.addresses.directory / SWITCH
    switch.touch()
    try:
        yield
    finally:
        switch.unlink()
