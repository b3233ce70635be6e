"""Which of the deployment's managed policies a command needs: what AWS does not permit is asked for by its name.

``infra/people.py`` declares the policies; tests hold each against what the commands of its role call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

READER, OPERATOR, VERIFIER = "ReaderPolicyArn", "OperatorPolicyArn", "VerifierPolicyArn"

# By module of ``fleet.commands``; a command that is not here changes something, and is the operator's. The operator's
# policy permits all of them.
SMALLEST_POLICY = {
    "backup": READER,
    "audit": READER,  # with --fix it is the operator's
    "ca_check": READER,
    "ca_rotate": READER,
    "ca_verification_csr": READER,
    "export": READER,
    "history": READER,
    "list": READER,
    "pending": READER,
    "show": READER,
    "verify": VERIFIER,
}

# It looks for what a destroyed deployment left, when its policies may be gone.
OF_ADMINISTRATORS = {"adopt", "purge", "restore"}

# What an operation changes shows that reading is not enough: ``audit --fix``.
_READS = ("Describe", "Get", "List", "Query", "Scan", "Search")

_command: ContextVar[str] = ContextVar("command", default="")


@contextmanager
def running(command: str) -> Iterator[None]:
    """Remember which command runs, by its module's name: what is denied deep inside asks for that command's policy."""
    token = _command.set(command)
    try:
        yield
    finally:
        _command.reset(token)


def policy_to_ask_for(operation: str) -> str:
    """The managed policy that permits what the running command does, in words.

    Args:
        operation: the AWS operation that was not permitted.
    """
    if _command.get() in OF_ADMINISTRATORS:
        return "rights that no managed policy of the deployment has: this command is for administrators"
    name = SMALLEST_POLICY.get(_command.get(), OPERATOR)
    if name == READER and not operation.startswith(_READS):
        name = OPERATOR
    also = "" if name == OPERATOR else f"; {OPERATOR}, which holds it, will do as well"
    return f"the managed policy in the stack output {name}, which permits all that this command does{also}"
