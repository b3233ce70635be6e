"""The hooks in /etc/zymkey-iot/on-renew.d tell the programs that use the certificate that there is a new one.

Every executable file in that folder is run, in the order of the names, with the paths in its environment:

    ZYMKEY_IOT_CERTIFICATE      the certificate in use, PEM
    ZYMKEY_IOT_CONFIGURATION    the cloud's configuration, JSON
    ZYMKEY_IOT_CERTIFICATE_ID   AWS IoT's name for the certificate
    ZYMKEY_IOT_NAME   ZYMKEY_IOT_KEY   ZYMKEY_IOT_STATE

A hook that fails is run again at the next renewal check, which the timer starts, until it succeeds. Hooks run as the
owner of their folder: a renewal by another user, such as the service's, leaves them to ``zymkey-iot hooks``.
"""

import os
import stat
from pathlib import Path

from .certificate import DeviceCertificate
from .errors import HookFailed
from .report import Report
from .settings import Settings
from .store import StateFolder

TIMEOUT = 300


def run_pending_hooks(state: StateFolder, settings: Settings, certificate: DeviceCertificate, report: Report) -> None:
    """Run the hooks if there is a new certificate since they last succeeded.

    Raises:
        HookFailed: a hook did not start, did not end, or ended with an error. The certificate stays in use.
    """
    if not state.hooks_are_pending():
        return
    hooks = find_hooks(settings.on_renew, report)
    if hooks and _belongs_to_another(settings.on_renew):
        report.note(f"the owner of {settings.on_renew} has to run its hooks: zymkey-iot hooks")
        return
    environment = {
        **os.environ,
        "ZYMKEY_IOT_CERTIFICATE": str(state.certificate_path),
        "ZYMKEY_IOT_CONFIGURATION": str(state.configuration_path),
        "ZYMKEY_IOT_CERTIFICATE_ID": certificate.certificate_id,
        "ZYMKEY_IOT_NAME": settings.name,
        "ZYMKEY_IOT_KEY": settings.key,
        "ZYMKEY_IOT_STATE": str(state.path),
    }
    # The token is spent by now, and no hook needs it.
    environment.pop("ZYMKEY_IOT_TOKEN", None)
    failures = [failure for hook in hooks if (failure := _run(hook, environment, report))]
    if failures:
        raise HookFailed(
            f"the new certificate is in use, but {' and '.join(failures)}.",
            cure="repair the hook; the next zymkey-iot renew --if-due runs it again",
        )
    state.hooks_are_done()


def _belongs_to_another(folder: Path) -> bool:
    return os.geteuid() not in (0, folder.stat().st_uid)


def find_hooks(folder: Path, report: Report) -> list[Path]:
    """The executable files in ``folder``, without those that any user can write."""
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    hooks = []
    for path in files:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.X_OK):
            continue
        if status.st_mode & stat.S_IWOTH:
            report.warn(f"the hook {path} is not run, because any user can write it: chmod o-w {path}")
            continue
        hooks.append(path)
    return hooks


def _run(hook: Path, environment: dict[str, str], report: Report) -> str | None:
    """Run one hook; return what went wrong, if something did."""
    import subprocess

    with report.step("hook") as step:
        step.done = str(hook)
        try:
            result = subprocess.run(
                [str(hook)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
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
        said = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"the hook {hook} ended with {result.returncode}" + (f" ({said})" if said else "")
