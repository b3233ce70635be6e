"""Every failure that a command reports, and the exit code that stands for it.

An error says what went wrong, in whose hands it is, and what to try next. The exit codes are part of the interface:
``EXIT_CODES`` is what ``zymkey-fleet --help`` prints, and what each class below refers to.

Nothing dear is imported here: ``--help`` loads this module and must stay cheap.
"""

from fleet.redaction import redacted

EXIT_CODES = (
    (0, "done"),
    (1, "refused: by the ledger, by AWS, or by a check of the command"),
    (2, "the command line is wrong"),
    (3, "no such deployment, or one whose issuer does not fit the command"),
    (4, "no AWS credentials, or expired ones"),
    (5, "AWS does not permit it"),
    (6, "no answer, or too many requests: try again later"),
    (70, "a defect of this program"),
    (74, "done, but the answer could not be written"),
    (130, "interrupted"),
)


class FleetError(Exception):
    """A failure with a cause and a cure.

    ``cause`` is a sentence. ``cure`` says what to try next, without a final period; it may be empty. Both may quote
    what libraries and servers say: secrets that this process knows are taken out here.
    """

    exit_code = 1

    def __init__(self, cause: str, *, cure: str = "") -> None:
        self.cause = redacted(cause)
        self.cure = redacted(cure)
        super().__init__(self.cause)

    @property
    def kind(self) -> str:
        """A stable name for programs, such as ``no-deployment``."""
        name = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")

    @property
    def in_one_line(self) -> str:
        """Cause and cure, for a cell of a table or a line of a report."""
        return f"{self.cause} Try: {self.cure}" if self.cure else self.cause


class UsageError(FleetError):
    """The command line is wrong; ``argparse`` says it, and this is what it says for programs."""

    exit_code = 2


class Refused(FleetError):
    """The ledger, AWS IoT or a check says no; asking again changes nothing."""


class UnexpectedReply(FleetError):
    """AWS or the deployment's HTTP API answered what this command does not know."""


class SdkFailed(FleetError):
    """The AWS SDK made no request: its configuration or an argument does not suit it."""


class WrongClock(FleetError):
    """This machine's clock is so far off that AWS does not accept its signatures."""


class NoDeployment(FleetError):
    """There is no such deployment here, or it is of another kind than the command needs."""

    exit_code = 3


class NoCredentials(FleetError):
    """AWS does not know who asks: no credentials, or expired ones."""

    exit_code = 4


class NotPermitted(FleetError):
    """AWS knows who asks, and does not permit it."""

    exit_code = 5


class Unreachable(FleetError):
    """No answer, or too many requests at once; asking again later may help."""

    exit_code = 6


class Defect(FleetError):
    """An exception that no part of this program expected."""

    exit_code = 70  # EX_SOFTWARE of BSD's sysexits.h, and far from the codes above, which may grow


class AnswerLost(FleetError):
    """The command did its work, and what it printed did not arrive."""

    exit_code = 74  # EX_IOERR of sysexits.h


class Interrupted(FleetError):
    """Ctrl-C, or a signal that a command treats like it."""

    exit_code = 130  # as a shell reports SIGINT

    def __init__(self) -> None:
        super().__init__("interrupted.", cure="run the same command again to complete it")


def innermost_reason(error: BaseException) -> str:
    """What the first exception of a chain says, in words; the later ones only wrap it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    said = getattr(error, "strerror", None) or str(error)  # str() of an OSError begins with its number
    return " ".join(said.split()).rstrip(".") or type(error).__name__
