"""Every failure that a person can act on, and the exit code that stands for it.

An error says what went wrong, in whose hands it is, and what to try next. The exit codes are part of the
interface: `EXIT_CODES` is what `zymkey-iot --help` prints and what each class below refers to.

Nothing is imported here: `--help` loads this module and must stay cheap.
"""

EXIT_CODES = (
    (0, "done"),
    (1, "a defect of this program"),
    (2, "wrong use: an argument, a setting, or a step that has to come first"),
    (3, "the key: no HSM, no such slot, wrong kind of key, or it does not answer"),
    (4, "the network: DNS, route, port, proxy, or the other side hung up"),
    (5, "the server's certificate is not trusted, or this clock is wrong"),
    (6, "enrollment refused: token, name, or a key that is blocked or another device's"),
    (7, "not yet: the operator or the CA has not approved, ask again later"),
    (8, "the cloud is busy, out of order, or answers what it should not; ask again later"),
    (9, "AWS IoT refused the certificate: unknown, or not active"),
    (10, "the IoT policy does not allow the topic"),
    (11, "this machine's storage: full, read-only, or not permitted"),
    (12, "the certificate: missing, expired, or not for the HSM's key"),
    (13, "nothing to do: the certificate is not due for renewal"),
    (14, "another zymkey-iot is at work on this device"),
    (15, "the new certificate is in use, and a hook in on-renew.d failed"),
    (16, "doctor: warnings, and nothing that failed"),
    (130, "interrupted"),
)


class DeviceError(Exception):
    """A failure with a cause and a cure.

    `cause` is a sentence; `cure` says what to try next. `transient` failures may go away by themselves, so
    `retry.retry` tries again; `retry_after`, in seconds, is what the server asked for.
    """

    exit_code = 1
    transient = False

    def __init__(self, cause: str, *, cure: str = "", retry_after: float | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.cure = cure
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """A stable name for programs, such as `certificate-refused`."""
        name = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")


class UsageError(DeviceError):
    """An argument or a setting is wrong, or another command has to come first."""

    exit_code = 2


class KeyUnavailable(DeviceError):
    """The key cannot be opened or does not sign. The subclasses tell how far it went."""

    exit_code = 3


class LibraryUnusable(KeyUnavailable):
    """What lies between this program and the HSM (module, library, engine) is missing or does not fit."""


class HsmNotAnswering(KeyUnavailable):
    """The library is there, and no HSM answers, or not to this user."""


class SlotUnusable(KeyUnavailable):
    """The HSM answers, and what the key's URI names there is not a P-256 key."""


class SignerUnsupported(KeyUnavailable):
    """This Python's OpenSSL cannot have another program sign; curl with an engine can."""


class NetworkError(DeviceError):
    """The server was not reached. The subclasses tell how far it went."""

    exit_code = 4
    transient = True


class NameNotResolved(NetworkError):
    """DNS did not give an address."""


class PortClosed(NetworkError):
    """The address answered that nothing listens there."""


class NoRoute(NetworkError):
    """There is no way to the address: no network, or none of that family."""


class NoAnswer(NetworkError):
    """Nothing came back in time."""


class ProxyFailed(NetworkError):
    """The proxy refused to make the connection."""


class HungUp(NetworkError):
    """TCP was there, and the other side ended the TLS handshake or the first read.

    From AWS IoT's data endpoint this means that the certificate was refused (`CertificateRefused`).
    """


class ServerNotTrusted(DeviceError):
    """The server's certificate does not verify."""

    exit_code = 5


class ClockWrong(ServerNotTrusted):
    """The server's certificate does not verify, and this machine's clock is why."""


class EnrollmentRefused(DeviceError):
    """The enrollment service said no, and asking again will not help."""

    exit_code = 6


class CertificateUnwanted(EnrollmentRefused):
    """The fleet will never take the certificate that this device brought along."""


class Pending(DeviceError):
    """The enrollment service said: not yet (HTTP 202)."""

    exit_code = 7
    transient = True


class Busy(DeviceError):
    """The cloud cannot do it now: 429 or 5xx."""

    exit_code = 8
    transient = True


class UnexpectedReply(DeviceError):
    """A server answered something that it should not; asking again later may help."""

    exit_code = 8


class CertificateRefused(DeviceError):
    """AWS IoT ended the connection because of the certificate."""

    exit_code = 9
    transient = True


class TopicDenied(DeviceError):
    """The attached IoT policy does not allow the topic."""

    exit_code = 10
    transient = True


class ConnectDenied(TopicDenied):
    """No attached IoT policy lets the device even connect."""


class StorageError(DeviceError):
    """The state folder cannot be read or written."""

    exit_code = 11


class CertificateUnusable(DeviceError):
    """There is no certificate, or it is expired, or it belongs to another key."""

    exit_code = 12


class HookFailed(DeviceError):
    """There is a new certificate, and a program that should learn of it may not have."""

    exit_code = 15


class AlreadyRunning(DeviceError):
    """Another process holds the state folder's lock."""

    exit_code = 14
