"""What can go wrong with the sandbox, in sentences for the person who started it."""


class SandboxError(Exception):
    """The message names the cause, and what to try next where there is something."""
