"""The hooks in /etc/zymkey-iot/on-renew.d tell the programs that use the certificate that there is a new one.

Every executable file in that folder is run, in the order of the names, with the paths in its environment:

    ZYMKEY_IOT_CERTIFICATE      the certificate in use, PEM
    ZYMKEY_IOT_CONFIGURATION    the cloud's configuration, JSON
    ZYMKEY_IOT_CERTIFICATE_ID   AWS IoT's name for the certificate
    ZYMKEY_IOT_NAME   ZYMKEY_IOT_KEY   ZYMKEY_IOT_STATE

A hook that fails, or that cannot be run, never stops another hook nor a renewal. All hooks are run again at the next
renewal check, which the timer starts, until each has succeeded. Hooks run as the owner of their folder: a renewal by
another user, such as the service's, leaves them to ``zymkey-iot hooks``. No hook sees a variable that holds a secret.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .certificate import DeviceCertificate
from .errors import HookFailed
from .report import Report
from .settings import Settings
from .store import StateFolder

TIMEOUT = 300
_LAST_WORDS = 4096
"""Bytes of a hook's stderr that are looked at: its last line is shown."""

# Names of variables that hold a secret: the token, the PIN, and those of whatever started this process.
_SECRET = re.compile(r"(^|_)(TOKEN|PIN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIALS?)(_|$)", re.IGNORECASE)


def run_pending_hooks(state: StateFolder, settings: Settings, certificate: DeviceCertificate, report: Report) -> None:
    """Run the hooks if there is a new certificate since they last succeeded.

    Raises:
        HookFailed: a hook was not run, did not start, did not end, or ended with an error. All others have run, and the
            certificate stays in use.
    """
    if not state.hooks_are_pending():
        return
    # Imported here and below: there is a new certificate once in many runs.
    from .hook_files import entries

    folder = settings.on_renew
    try:
        found = entries(folder)
        if found and _belongs_to_another(folder):
            _leave_to_owner(folder, report)
            return
        failures = _run_all(folder, found, _environment(state, settings, certificate), report)
    except OSError as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            _leave_to_owner(folder, report)
            return
        failures = [f"the folder {folder} cannot be read ({os.strerror(error.errno or 0)})"]
        report.warn(f"no hook is run: {failures[0]}")
    if failures:
        raise HookFailed(
            f"the new certificate is in use, but {'; '.join(failures)}.",
            cure="repair the hook; the next zymkey-iot renew --if-due runs it again",
        )
    state.hooks_are_done()


def _belongs_to_another(folder: Path) -> bool:
    return os.geteuid() not in (0, folder.stat().st_uid)


def _leave_to_owner(folder: Path, report: Report) -> None:
    report.note(f"the owner of {folder} has to run its hooks: sudo zymkey-iot hooks")


def _run_all(folder: Path, found: list[Path], environment: dict[str, str], report: Report) -> list[str]:
    """Run what can be run, warn of the rest; return what went wrong, one sentence's part a hook."""
    from .hook_files import fault, foreign

    if found and (unsafe := foreign(folder, among_others=False)):
        report.warn(f"no hook in {folder} is run, because {unsafe.reason}. Try: {unsafe.cure}")
        return [f"no hook in {folder} was run, because {unsafe.reason}"]
    failures = []
    for path in found:
        unusable = fault(path)
        if unusable is None:
            failure = _run(path, environment, report)
        else:
            report.warn(f"the hook {path} is not run, because {unusable.reason}. Try: {unusable.cure}")
            failure = f"the hook {path} was not run, because {unusable.reason}" if unusable.expected else None
        if failure:
            failures.append(failure)
    return failures


def _environment(state: StateFolder, settings: Settings, certificate: DeviceCertificate) -> dict[str, str]:
    return {
        **without_secrets(os.environ),
        "ZYMKEY_IOT_CERTIFICATE": str(state.certificate_path),
        "ZYMKEY_IOT_CONFIGURATION": str(state.configuration_path),
        "ZYMKEY_IOT_CERTIFICATE_ID": certificate.certificate_id,
        "ZYMKEY_IOT_NAME": settings.name,
        "ZYMKEY_IOT_KEY": settings.key,
        "ZYMKEY_IOT_STATE": str(state.path),
    }


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that may be handed on: none that holds a secret by its name, and no URL with a password in it."""
    return {
        name: value
        for name, value in environment.items()
        if not _SECRET.search(name)
        and not re.search(r"://[^/\s]*:[^/\s]*@", value)
        and not _proxy_password(name, value)
    }


def _proxy_password(name: str, value: str) -> bool:
    """Proxies may be written without a scheme, and a password with a slash or a blank is still a password."""
    return name.lower().endswith("_proxy") and "@" in value


def _run(hook: Path, environment: dict[str, str], report: Report) -> str | None:
    """Run one hook; return what went wrong, if something did."""
    import subprocess

    with report.step("hook") as step, open(os.memfd_create("stderr"), "w+b") as said:  # noqa: PTH123 - a descriptor
        step.done = str(hook)
        try:
            # Not a pipe: a program that the hook starts in the background would keep it open.
            result = subprocess.run(
                [str(hook)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=TIMEOUT,
                check=False,
            )
        except OSError as error:
            step.done += " did not start"
            return f"the hook {hook} did not start ({error.strerror})"
        except subprocess.TimeoutExpired:
            step.done += f" did not end within {TIMEOUT} s"
            return f"the hook {hook} did not end within {TIMEOUT} s"
        if result.returncode == 0:
            return None
        step.done += f" ended with {result.returncode}"
        said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_WORDS))
        last = said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"the hook {hook} ended with {result.returncode}" + (f" ({last})" if last else "")
