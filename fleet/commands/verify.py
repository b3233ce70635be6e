"""``zymkey-fleet verify``: test the deployment with a throw-away device.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, UpdateItem,
DeleteItem, iot:DescribeCertificate, DescribeCACertificate, UpdateCertificate, DeleteCertificate,
ListAttachedPolicies, DetachPolicy, DetachThingPrincipal, DeleteThing. Things are named ``zymkey-fleet-verify-…``.
"""

import argparse
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.ca_key import add_ca, has_ca, open_ca
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Interrupted
from fleet.failures import explained
from fleet.output import note, print_error, print_json, print_line
from fleet.smoke_test.credentials import ask_for_credentials
from fleet.smoke_test.device import PREFIX, ThrowAwayDevice, thingless_name
from fleet.smoke_test.first_connection import FIRST_CONNECTION_QUESTIONS, FirstConnection
from fleet.smoke_test.registered_ca import ask_for_mode
from fleet.smoke_test.report import Report, Step, StepFailed
from fleet.smoke_test.shared_port import ask_at_443
from fleet.smoke_test.steps import SmokeTest
from fleet.smoke_test.thingless import WithoutThing, another_device
from fleet.smoke_test.traces import left_behind, remove_traces
from pki.certificates import Signer, device_certificate
from pki.fingerprint import certificate_id
from pki.issuers import EXTERNAL


def configure(parser: argparse.ArgumentParser) -> None:
    add_ca(parser, required=False)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
Run it after `cdk deploy`; it needs no Pi. A throw-away device with a software key is invited, enrolls, publishes over
HTTPS and MQTT, is refused on another device's topic, asks again and gets the same certificate. Then every trace of it
is removed, also after an interruption; if this machine goes down, the next `verify` removes the rest. A new
certificate may take a minute to work everywhere; during that time the command tries again.

With the issuer external your CA must sign: give --ca-cert and --ca-key. A second device then shows whether AWS IoT
registers a certificate at its first connection.

The command also reports how AWS answered where its documents do not say (observations), and why it could not ask
(open); docs/operator.md says what each answer changes. The exit code is 0 when every step is ok, else 1.
JSON: ok, steps (step, ok, seconds, detail), observations, open."""
    add_examples(
        parser, "zymkey-fleet verify", "zymkey-fleet verify --ca-cert ca.crt --ca-key ca.key     # issuer: external"
    )


def run(arguments: argparse.Namespace) -> int:
    signs = has_ca(arguments)
    deployment = open_deployment(arguments)
    ca = _ExternalCa(*open_ca(arguments)) if signs else None
    report = Report(prints=not arguments.json)
    try:
        with _sigterm_interrupts():
            _verify(deployment, ca, report)
    except KeyboardInterrupt:
        # Told here: with --json the report is the one object on standard output.
        print_error(Interrupted(), as_json=False)
        return Interrupted.exit_code
    finally:
        _show(report, as_json=arguments.json)
    return 0 if report.ok else 1


class _ExternalCa:
    """Signs for throw-away devices, and remembers what it has signed for each."""

    def __init__(self, certificate: x509.Certificate, signer: Signer) -> None:
        self.certificate = certificate
        self._signer = signer
        self.signed: dict[str, list[str]] = {}

    def sign(self, device: ThrowAwayDevice) -> x509.Certificate:
        certificate = device_certificate(
            signer=self._signer,
            ca=self.certificate,
            key=device.key.public_key(),
            device=device.name,
            subject={},
            validity_days=1,
            now=datetime.now(UTC),
        )
        self.signed.setdefault(device.name, []).append(certificate_id(certificate))
        return certificate


def _verify(deployment: Deployment, ca: _ExternalCa | None, report: Report) -> None:
    devices: list[ThrowAwayDevice] = []
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:

        def device(name: str | None = None) -> ThrowAwayDevice:
            made = ThrowAwayDevice(folder=Path(folder))
            devices.append(made if name is None else replace(made, name=name))
            return devices[-1]

        sign = None if ca is None else ca.sign
        try:
            enrolled = SmokeTest(deployment=deployment, device=device(), report=report, sign=sign).run()
            if enrolled is not None:
                ask_for_mode(deployment, enrolled.certificate, report)
                ask_at_443(enrolled, report)
                ask_for_credentials(enrolled, report)
                with _step(report, "without-thing") as written:
                    if deployment.outputs.mqtt_without_thing == "try":
                        enrolled = another_device(enrolled, device(thingless_name()), deployment, sign)
                    written.detail = WithoutThing(deployment=deployment, enrolled=enrolled, report=report).run()
            _connect_first(device, deployment, ca, report)
        finally:
            _clean_up([each.name for each in devices], deployment, {} if ca is None else ca.signed, report)


def _connect_first(
    device: Callable[[], ThrowAwayDevice], deployment: Deployment, ca: _ExternalCa | None, report: Report
) -> None:
    if ca is None or deployment.outputs.issuer != EXTERNAL:
        why = "no CA key was given" if deployment.outputs.issuer == EXTERNAL else "the issuer is not external"
        for question in FIRST_CONNECTION_QUESTIONS:
            report.leave_open(question, why)
        return
    first = FirstConnection(deployment=deployment, device=device(), report=report, sign=ca.sign, ca=ca.certificate)
    with _step(report, "first-connection") as written:
        written.detail = first.run()


@contextmanager
def _step(report: Report, name: str) -> Iterator[Step]:
    with report.step(name) as written:
        try:
            with explained():
                yield written
        except FleetError as error:
            raise StepFailed(error.in_one_line) from None


def _clean_up(names: list[str], deployment: Deployment, signed: dict[str, list[str]], report: Report) -> None:
    with _uninterrupted(), report.step("clean-up") as written:
        try:
            with explained():
                old = left_behind(deployment, now=int(time.time()))
                for name in {*names, *old}:
                    remove_traces(name, deployment, certificate_ids=signed.get(name, ()))
        except FleetError as error:
            raise StepFailed(f"{error.cause} The next `zymkey-fleet verify` removes the rest of {names[0]}.") from None
        written.detail = "nothing is left"
        if others := set(old) - set(names):
            written.detail += f"; devices of interrupted smoke tests, removed too: {len(others)}"


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM cleans up, as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C does not stop the cleaning."""

    def wait(*_: Any) -> None:
        note("zymkey-fleet: removing the throw-away device; please wait")

    before = {each: signal.signal(each, wait) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    if report.observations:
        print_line("")
        print_line("How AWS answered:")
    for question, answer in report.observations.items():
        print_line(f"  {question}: {answer}")
    if report.open:
        print_line("")
        print_line("Not asked, or without an answer:")
    for question, why in report.open.items():
        print_line(f"  {question}: {why}")
