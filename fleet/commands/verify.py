"""``zymkey-fleet verify``: does this deployment do what it is for?

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, UpdateItem,
DeleteItem, iot:DescribeCertificate, UpdateCertificate, DeleteCertificate, ListAttachedPolicies, DetachPolicy,
DetachThingPrincipal, DeleteThing. Things are named ``zymkey-fleet-verify-…``.
"""

import argparse
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from fleet.arguments import deployment_options, json_option
from fleet.ca_key import ca_options, open_ca
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError, Refused
from fleet.failures import explained
from fleet.output import note, print_json
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.first_connection import FirstConnection
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.steps import Verification
from fleet.smoke_test.traces import left_behind, remove_traces
from pki.certificates import Signer, device_certificate
from pki.fingerprint import certificate_id


def arguments(parser: argparse.ArgumentParser) -> None:
    ca_options(parser, required=False)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
For the minute after `cdk deploy`, from a laptop, without a Pi: a throw-away device with a software key is invited,
enrolls, publishes over HTTPS and MQTT, is refused on another device's topic, asks again and gets the same
certificate. Then every trace of it is removed, also after an interruption; what a lost laptop leaves is removed by
the next `verify`. A certificate that was made a moment ago may need a minute to be known everywhere: it tries again.

With issuer external the CA must sign: give --ca-cert and --ca-key. A second device then shows whether AWS IoT
registers a certificate at its first connection.

It also reports how AWS answered where its documents are silent (observations). Exit code 0 when every step is ok,
else 1. JSON: ok, steps (step, ok, seconds, detail), observations."""


def run(options: argparse.Namespace) -> int:
    if (options.ca_cert is None) != (options.ca_key is None):
        raise Refused("--ca-cert and --ca-key belong together.")
    deployment = open_deployment(options)
    ca = _Ca(*open_ca(options)) if options.ca_cert is not None else None
    report = Report(prints=not options.json)
    try:
        with _terminated_like_interrupted():
            _verify(deployment, ca, report)
    finally:
        _show(report, as_json=options.json)
    return 0 if report.ok else 1


class _Ca:
    """A CA elsewhere, which signs for throw-away devices and remembers for which."""

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


def _verify(deployment: Deployment, ca: _Ca | None, report: Report) -> None:
    devices: list[ThrowAwayDevice] = []
    with tempfile.TemporaryDirectory(prefix="zymkey-fleet-verify-") as folder:
        try:
            devices.append(ThrowAwayDevice(folder=Path(folder)))
            sign = None if ca is None else ca.sign
            Verification(deployment=deployment, device=devices[0], report=report, sign=sign).run()
            if ca is not None and deployment.outputs.issuer == "external":
                devices.append(ThrowAwayDevice(folder=Path(folder)))
                _connect_first(devices[1], deployment, ca, report)
        finally:
            _clean_up([each.name for each in devices], deployment, {} if ca is None else ca.signed, report)


def _connect_first(device: ThrowAwayDevice, deployment: Deployment, ca: _Ca, report: Report) -> None:
    first = FirstConnection(deployment=deployment, device=device, report=report, sign=ca.sign, ca=ca.certificate)
    with report.step("first-connection") as written:
        try:
            with explained():
                written.detail = first.run()
        except FleetError as error:
            raise StepFailed(str(error)) from None


def _clean_up(names: list[str], deployment: Deployment, signed: dict[str, list[str]], report: Report) -> None:
    with _not_to_be_interrupted(), report.step("clean-up") as written:
        try:
            with explained():
                old = left_behind(deployment, now=int(time.time()))
                for name in {*names, *old}:
                    remove_traces(name, deployment, certificate_ids=signed.get(name, ()))
        except FleetError as error:
            raise StepFailed(f"{error} A later `zymkey-fleet verify` removes what is left of {names[0]}.") from None
        written.detail = "nothing is left"
        if others := set(old) - set(names):
            written.detail += f", nor of {len(others)} that earlier verifications left"


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM cleans up as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _not_to_be_interrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it behind."""

    def wait(*_: Any) -> None:
        note("zymkey-fleet: removing every trace; a moment, please")

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
        print("\nHow AWS answered:")
    for question, answer in report.observations.items():
        print(f"  {question}: {answer}")
