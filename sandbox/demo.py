"""``make demo``: one device from invitation to publish, with the product's own commands, on this machine.

Every run is a new device: a new name, and a simulated Zymkey fresh from the factory. The sandbox stays up, so a
second run is quick.
"""

import json
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pki.issuers import EXTERNAL

from . import lifecycle
from .addresses import REPOSITORY, Addresses
from .demo_report import Report, Step, UnexpectedError
from .environment import as_operator, sourced
from .errors import SandboxError
from .example_authority import ExampleAuthority
from .zymkey.device import SimulatedZymkey

# Exit codes of zymkey-iot.
NOT_YET = 7
TOPIC_DENIED = 10

STEPS = {
    "cloud": "The cloud: emulator, data endpoint, `cdk deploy`",
    "invite": "The operator invites a device",
    "ask": "The device asks, and has to wait for the CA",
    "sign": "The operator signs with the fleet's own CA",
    "bootstrap": "The device bootstraps: CSR, certificate, first publish",
    "own-topic": "It publishes to its own topic",
    "other-topic": "It publishes to another device's topic",
    "mqtt": "It publishes over MQTT and receives its own message",
    "again": "It bootstraps again",
    "lost-files": "It loses its files and bootstraps again",
}
WAITING = {"ask", "sign"}  # where the CA is elsewhere


def steps_of(issuer: str) -> dict[str, str]:
    """The steps of a demonstration with this issuer: name and what is done."""
    return {name: title for name, title in STEPS.items() if issuer == EXTERNAL or name not in WAITING}


@dataclass(frozen=True, kw_only=True)
class DemoDevice:
    """One Raspberry Pi: its name, its key (a simulated Zymkey's, or a file's) and its environment."""

    name: str
    key_uri: str
    state: Path
    zymkey: SimulatedZymkey | None
    environment: Mapping[str, str]

    def signatures(self) -> int | None:
        """How often the HSM has signed; None without an HSM."""
        return None if self.zymkey is None else self.zymkey.signatures()

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.state.iterdir())}


def run_demo(addresses: Addresses, issuer: str) -> bool:
    """Run the demonstration and print its table; say whether every step went as expected.

    Writes demo.json beside the sandbox's folder: build/demo.json.
    """
    report = Report(titles=steps_of(issuer), facts={"issuer": issuer})
    try:
        _tell(report, addresses, issuer)
    except (UnexpectedError, SandboxError) as failure:
        print(f"\nThe demonstration ends here: {failure}")
    report.print_table()
    written = addresses.directory.parent / "demo.json"
    report.write(written)
    outcome = "Every step went as expected." if report.ok else "Not every step went as expected."
    print(f"\n{outcome} Written to {written}.")
    return report.ok


def _tell(report: Report, addresses: Addresses, issuer: str) -> None:
    with report.step("cloud") as step:
        sandbox = _started(addresses, issuer)
        step.result = f"running, issuer {sandbox.deployment.issuer}"
    device = _new_device(sandbox)
    report.facts |= {"device": device.name, "key": device.key_uri}

    with report.step("invite") as step:
        invitation = _run(["zymkey-fleet", "invite", device.name, "--json"], as_operator(device.environment))
        step.result = f"{device.name}, until {invitation['expires']}"

    if sandbox.deployment.issuer == EXTERNAL and sandbox.authority is not None:
        _wait_for_signature(report, device, invitation["token"], sandbox.authority)

    with report.step("bootstrap") as step:
        first = _bootstrap(step, device, token=invitation["token"])
        _expect(first["enrolled"], "no certificate was asked for")
        # Who has asked before keeps the CSR: only TLS is left to sign.
        _expect_signatures(step, device, 1 if sandbox.deployment.issuer == EXTERNAL else 2)
        step.result = f"certificate {first['certificateId'][:12]}, valid until {first['notAfter'][:10]}"
        report.facts |= {"fingerprint": first["fingerprint"], "certificateId": first["certificateId"]}

    with report.step("own-topic") as step:
        _publish(step, device, f"devices/{device.name}/demo")
        _expect_signatures(step, device, 1)
        step.result = "200"

    with report.step("other-topic") as step:
        refusal = _publish(step, device, "devices/another/demo", exit_code=TOPIC_DENIED)
        _expect(refusal["error"] == "topic-denied", f"refused for another reason: {refusal['cause']}")
        step.result = "403, as expected"

    with report.step("mqtt") as step:
        _publish(step, device, f"devices/{device.name}/demo", "--mqtt")
        step.result = "sent and received"

    with report.step("again") as step:
        files = device.files()
        again = _bootstrap(step, device)
        _expect(not again["enrolled"], "it asked for a certificate although it has one")
        _expect(device.files() == files, "it changed its files")
        _expect_signatures(step, device, 1)
        step.result = "nothing asked for, no file changed"

    with report.step("lost-files") as step:
        certificate = (device.state / "certificate.pem").read_bytes()
        shutil.rmtree(device.state)
        _bootstrap(step, device)
        _expect((device.state / "certificate.pem").read_bytes() == certificate, "it got another certificate")
        step.result = "the same certificate, byte for byte"

    report.facts["hsmSignatures"] = device.signatures()


def _wait_for_signature(report: Report, device: DemoDevice, token: str, authority: ExampleAuthority) -> None:
    """With a CA elsewhere a CSR is queued. A device would wait; this one gives up at once and comes back."""
    with report.step("ask") as step:
        _bootstrap(step, device, "--give-up-after", "1s", token=token, exit_code=NOT_YET)
        _expect_signatures(step, device, 1)
        step.result = "202, queued"

    with report.step("sign") as step:
        signing = ["--ca-cert", authority.certificate, "--ca-key", authority.key]
        command = ["zymkey-fleet", "sign", device.name, *signing, "--passphrase-file", authority.passphrase]
        (signed,) = _run([*map(str, command), "--json"], as_operator(device.environment))
        _expect(signed["registered"], f"not registered: {signed['reason']}")
        step.result = f"signed and registered {signed['certificateId'][:12]}"


def _started(addresses: Addresses, issuer: str) -> lifecycle.Sandbox:
    try:
        return lifecycle.start(addresses, issuer, lambda line: print(f"   {line}"))
    except SandboxError as failure:
        raise UnexpectedError(str(failure)) from failure


def _new_device(sandbox: lifecycle.Sandbox) -> DemoDevice:
    name = f"demo-{secrets.token_hex(3)}"
    home = sandbox.addresses.directory / "devices" / name
    home.mkdir(parents=True)
    zymkey = None if sandbox.zymkey_problem else SimulatedZymkey(home / "zymkey")
    key_uri = f"file:{home / 'key.pem'}" if zymkey is None else "zymkey:"
    return DemoDevice(
        name=name,
        key_uri=key_uri,
        state=home / "state",
        zymkey=zymkey,
        environment={
            **sandbox_environment(sandbox),
            **(zymkey.environment() if zymkey else {}),
            "ZYMKEY_IOT_STATE": str(home / "state"),
            "ZYMKEY_IOT_KEY": key_uri,
        },
    )


def sandbox_environment(sandbox: lifecycle.Sandbox) -> dict[str, str]:
    """What a shell has that sourced build/sandbox.env, free of settings of a device that this machine may be."""
    inherited = sourced(sandbox.environment_file)
    return {name: value for name, value in inherited.items() if not name.startswith("ZYMKEY_IOT_")}


def _bootstrap(
    step: Step, device: DemoDevice, *options: str, token: str | None = None, exit_code: int = 0
) -> dict[str, Any]:
    secret = {} if token is None else {"ZYMKEY_IOT_TOKEN": token}
    command = ["zymkey-iot", "bootstrap", device.environment["ENROLLMENT_URL"], "--name", device.name]
    environment = {**device.environment, **secret}
    return _device_command(step, device, [*command, *options, "--json"], environment, exit_code=exit_code)


def _publish(step: Step, device: DemoDevice, topic: str, *options: str, exit_code: int = 0) -> dict[str, Any]:
    command = ["zymkey-iot", "publish", topic, '{"hello": "world"}', "--json", *options]
    return _device_command(step, device, command, device.environment, exit_code=exit_code)


def _device_command(
    step: Step, device: DemoDevice, command: Sequence[str], environment: Mapping[str, str], *, exit_code: int = 0
) -> dict[str, Any]:
    before = device.signatures()
    reply: dict[str, Any] = _run(command, environment, exit_code=exit_code)
    after = device.signatures()
    step.signatures = reply.get("signatures") if before is None or after is None else after - before
    return reply


def _run(command: Sequence[str], environment: Mapping[str, str], *, exit_code: int = 0) -> Any:
    """Run one of the product's commands, show it and what it says, and return its JSON.

    Raises:
        UnexpectedError: it ends with another exit code.
    """
    print(f"   $ {shlex.join(command)}")
    program = shutil.which(command[0], path=environment["PATH"])
    done = subprocess.run(
        [program or command[0], *command[1:]],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    reply = json.loads(done.stdout) if done.stdout.strip() else {}
    if isinstance(reply, dict):
        _show(reply)
    if done.returncode != exit_code:
        raise UnexpectedError(
            f"`{command[0]} {command[1]}` ended with {done.returncode} and not with {exit_code}. {done.stderr}".strip()
        )
    return reply


def _show(reply: Mapping[str, Any]) -> None:
    for line in reply.get("steps", []):
        print(f"     {line['step']:10} {line['done']} ({line['seconds']:.2f} s)")
    for name in ("cause", "try"):
        if reply.get(name):
            print(f"     {name}: {reply[name]}")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UnexpectedError(otherwise)


def _expect_signatures(step: Step, device: DemoDevice, count: int) -> None:
    _expect(step.signatures == count, f"it cost {step.signatures} signatures of {device.key_uri} and not {count}")
