"""Every failure that a person can act on, and its exit code.

An error says what happened, in whose hands it is, and what to try next. The exit codes are part of the interface:
``EXIT_CODES`` is what ``zymkey-iot --help`` prints, and each class below has one of them.

Nothing costly is imported here: ``--help`` loads this module and must stay cheap.
"""

from .text import printable

EXIT_CODES = (
    (0, "done"),
    (1, "defect in this program"),
    (2, "wrong use: an argument, a setting, or another command has to come first"),
    (3, "key: no HSM, no such slot, the wrong kind of key, or no answer from the HSM"),
    (4, "network: DNS, route, port, proxy, or the server closed the connection"),
    (5, "server's certificate not trusted, or this machine's clock is wrong"),
    (6, "enrollment refused: wrong token or name, or the key is blocked or belongs to another device"),
    (7, "not yet: the operator or the CA has not approved this device, or its turn has not come; try again later"),
    (8, "cloud busy, failing, or giving an unexpected answer; try again later"),
    (9, "certificate refused by AWS IoT: unknown, or not active"),
    (10, "topic or AWS credentials not allowed by the IoT policy"),
    (11, "storage of this machine: full, read-only, or not permitted"),
    (12, "certificate missing, expired, or not for the key in the HSM"),
    (13, "nothing done: the certificate is not due for renewal"),
    (14, "another zymkey-iot is running on this device"),
    (15, "new certificate in use, but a hook in on-renew.d failed or cannot be run; the next check runs it again"),
    (16, "doctor: warnings, but no check failed"),
    (130, "interrupted"),
)


class DeviceError(Exception):
    """A failure with a cause and a cure.

    ``cause`` is a sentence; ``cure`` says what to try next. Both are safe to print, whoever wrote the words in them.
    ``transient`` failures may go away by themselves, so ``retry.retry`` tries again; ``retry_after``, in seconds, is
    what the server asked for.
    """

    exit_code = 1
    transient = False

    def __init__(self, cause: str, *, cure: str = "", retry_after: float | None = None) -> None:
        super().__init__(printable(cause))
        self.cause = printable(cause)
        self.cure = printable(cure)
        self.retry_after = retry_after

    @property
    def facts(self) -> dict[str, object]:
        """What a program may want to know beside the sentences, for ``--json``."""
        return {}

    @property
    def kind(self) -> str:
        """A stable name for programs, such as ``certificate-refused``."""
        name = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")


class UsageError(DeviceError):
    """An argument or a setting is wrong, or another command has to come first."""

    exit_code = 2


class KeyUnavailable(DeviceError):
    """The key cannot be opened or does not sign. The subclasses say how far it went."""

    exit_code = 3


class LibraryUnusable(KeyUnavailable):
    """The software between this program and the HSM (module, library, engine) is missing or does not fit."""


class HsmNotAnswering(KeyUnavailable):
    """The library is there, but no HSM answers, or not to this user."""


class SlotUnusable(KeyUnavailable):
    """The HSM answers, but what the key's URI names is not a P-256 key."""


class SignerUnsupported(KeyUnavailable):
    """This Python's OpenSSL cannot ask another program for a signature; curl with an engine can."""


class NetworkError(DeviceError):
    """The server was not reached. The subclasses say how far it went."""

    exit_code = 4
    transient = True


class NameNotResolved(NetworkError):
    """DNS did not give an address."""


class PortClosed(NetworkError):
    """The address answered that nothing listens there."""


class NoRoute(NetworkError):
    """There is no route to the address: no network, or no IPv6."""


class NoAnswer(NetworkError):
    """Nothing came back in time."""

    connected = False
    """Whether the server had been reached: TCP, through the proxy if there is one."""


class ProxyFailed(NetworkError):
    """The proxy refused to make the connection."""


class HungUp(NetworkError):
    """TCP connected, and the server closed the connection during the TLS handshake or the first read.

    From AWS IoT's data endpoint this means that the certificate was refused (``CertificateRefused``).
    """


class ServerNotTrusted(DeviceError):
    """The server's certificate does not verify."""

    exit_code = 5


class ClockWrong(ServerNotTrusted):
    """The server's certificate does not verify because this machine's clock is wrong."""


class EnrollmentRefused(DeviceError):
    """The enrollment service refused; asking again will not help."""

    exit_code = 6


class CertificateUnwanted(EnrollmentRefused):
    """The fleet never accepts this device's certificate from the factory."""


class RequestRefused(EnrollmentRefused):
    """The enrollment service does not take this request, or what it holds (400): another one may do."""

    @property
    def kind(self) -> str:
        return "enrollment-refused"


class Pending(DeviceError):
    """The enrollment service answered: not yet (HTTP 202)."""

    exit_code = 7
    transient = True


class Queued(Pending):
    """This device has its turn in a queue: more devices have come than AWS IoT registers at once.

    ``come_first`` is how many devices come before it, and ``until`` the moment of its turn by this machine's clock, in
    ISO 8601.
    """

    def __init__(self, cause: str, *, come_first: int, until: str, cure: str, retry_after: float) -> None:
        super().__init__(cause, cure=cure, retry_after=retry_after)
        self.come_first = come_first
        self.until = until

    @property
    def facts(self) -> dict[str, object]:
        return {"place": self.come_first, "until": self.until}


class Busy(DeviceError):
    """The cloud cannot answer now: 429 or 5xx."""

    exit_code = 8
    transient = True


class UnexpectedReply(DeviceError):
    """A server gave an answer that it should not give; asking again later may help."""

    exit_code = 8


class CertificateRefused(DeviceError):
    """AWS IoT closed the connection because of the certificate."""

    exit_code = 9
    transient = True


class TopicDenied(DeviceError):
    """The attached IoT policy does not allow the topic."""

    exit_code = 10
    transient = True


class ConnectDenied(TopicDenied):
    """No IoT policy that is attached lets the device connect at all."""


class CredentialsDenied(DeviceError):
    """The fleet gives this device no AWS credentials."""

    exit_code = 10


class RoleAliasUnknown(CredentialsDenied):
    """The account has no such role alias: the fleet has another one by now, or none."""


class StorageError(DeviceError):
    """The state folder cannot be read or written."""

    exit_code = 11


class CertificateUnusable(DeviceError):
    """There is no certificate, or it has expired, or it belongs to another key."""

    exit_code = 12


class HookFailed(DeviceError):
    """There is a new certificate, but a program that uses it may not know."""

    exit_code = 15


class AlreadyRunning(DeviceError):
    """Another process holds the state folder's lock."""

    exit_code = 14
