"""The programs that AWS profiles name to get credentials from (``credential_process``): none outlives its command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from botocore.credentials import ProcessProvider

if TYPE_CHECKING:
    import boto3

# How long a program that is told to end may take for it.
_ENDS_SECONDS = 1


class CredentialPrograms:
    """Starts the programs for the AWS SDK, which itself would leave one running that hangs."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def watch(self, session: boto3.session.Session) -> None:
        """Have a session start its programs here: the profile's own, and those of the profiles that it refers to."""
        core = session._session  # boto3 has no public way to its providers
        resolver = core.get_component("credential_provider")
        resolver.get_provider("custom-process")._popen = self._start

        def provider(profile_name: str) -> ProcessProvider:
            return ProcessProvider(profile_name, lambda: core.full_config, popen=self._start)

        resolver.get_provider("assume-role")._profile_provider_builder._create_process_provider = provider

    def end(self) -> None:
        """End those that still run."""
        for program in self._started:
            if program.poll() is None:
                program.terminate()
                try:
                    program.wait(_ENDS_SECONDS)
                except subprocess.TimeoutExpired:
                    program.kill()

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        program = subprocess.Popen(command, **options)
        self._started.append(program)
        return program
