"""Why a command did not do what it was asked to. Each kind has its exit code, which is part of the interface."""


class FleetError(Exception):
    """The message is for the operator: what went wrong, in whose hands it is, what to try next."""

    exit_code = 1


class Refused(FleetError):
    """The ledger or a check says no; asking again changes nothing."""


class NoDeployment(FleetError):
    """There is no such deployment here, or it is of another kind than the command needs."""

    exit_code = 3


class NoCredentials(FleetError):
    """AWS does not know who asks: no credentials, or expired ones."""

    exit_code = 4


class NotPermitted(FleetError):
    """AWS knows who asks, and does not let them."""

    exit_code = 5


class Unreachable(FleetError):
    """No answer, or too many questions at once; asking again later may help."""

    exit_code = 6
