"""What a device does with an answer: when it asks again, when it gives up, and what that costs its HSM."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .agenda import Devices, Times
from .cloud import Answer

Flags: TypeAlias = NDArray[np.bool_]


class Clients(Protocol):
    """Devices of one release. Each method takes some of them and says when each sends its next request.

    ``signed`` is told which devices have signed another CSR.
    """

    needs_configuration: bool
    """Whether the configuration takes a request of its own."""

    def power_on(self, devices: Devices, times: Times, *, enrolling: Flags) -> Times:
        """The service starts at ``times``; the others have their certificate already, and need the configuration."""

    def not_answered(self, devices: Devices, times: Times, *, enrolling: Flags, refused: Flags) -> Times:
        """API Gateway has answered 429 (``refused``), or no answer came."""

    def answered(self, answer: Answer) -> float:
        """The function has answered 202 or 503 to an enrollment."""

    def configure(self, device: int, time: float) -> float:
        """The device has its certificate, and asks for the configuration."""


Signed = Callable[[Devices], None]
