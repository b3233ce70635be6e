"""Start, stop and look at the sandbox. Everything here can be repeated."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from pki.issuers import EXTERNAL

from .addresses import DATA_ENDPOINT_HOST, REPOSITORY, Addresses
from .background import exclusively
from .certificates import ServerCertificates, ensure_server_certificates
from .data_endpoint.process import data_endpoint_process, ensure_data_endpoint, is_serving
from .deployment import (
    Deployment,
    current_deployment,
    deploy,
    deployment_digest,
    forget_deployment,
    record_deployment,
    settings_for,
)
from .emulator import emulator_process, ensure_emulator, is_healthy, mqtt_root_certificate
from .environment import (
    OPERATOR_PREFIX,
    aws_environment,
    device_environment,
    reachable_enrollment_url,
    sdk_connection,
    write_environment_file,
)
from .example_authority import ExampleAuthority, ensure_example_authority, is_proved_to
from .operator import ensure_person
from .permissions import adapt_roles
from .zymkey.build import OUTPUT as ZYMKEY_ENGINES
from .zymkey.build import CannotBuild, build

# Takes one line for the person who watches.
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A running sandbox.

    ``authority`` is the CA that signs for the external issuer, where there is one. ``zymkey_problem`` says why there is
    no simulated Zymkey, when there is none.
    """

    addresses: Addresses
    deployment: Deployment
    authority: ExampleAuthority | None
    zymkey_problem: str | None

    @property
    def environment_file(self) -> Path:
        return self.addresses.environment_file


def start(
    addresses: Addresses,
    issuer: str,
    say: Say,
    *,
    settings: Mapping[str, str] | None = None,
    app: Path = REPOSITORY,
) -> Sandbox:
    """Bring everything up that is not up, deploy what is not deployed, write the environment file.

    ``settings`` are more of cdk.json's that differ, by their dotted names, with JSON for what is no string. ``app`` is
    the folder of the CDK app: another than this one's for an earlier release.

    Raises:
        SandboxError: a part cannot be brought up; those that came up stay.
    """
    with exclusively(addresses.directory, say):
        certificates = ensure_server_certificates(addresses.directory)
        aws = aws_environment(addresses, certificates)
        zymkey_problem = _build_zymkey(say)
        _start_emulator(addresses, certificates, say)
        _start_data_endpoint(addresses, certificates, aws, say)
        authority = _example_authority(addresses, aws, issuer)
        chosen = settings_for(issuer, authority, app) | dict(settings or {})
        deployment = _ensure_deployment(addresses, aws, chosen, app, say)
        _write_environment(addresses, certificates, deployment)
        return Sandbox(addresses=addresses, deployment=deployment, authority=authority, zymkey_problem=zymkey_problem)


def stop(addresses: Addresses, say: Say) -> bool:
    """End everything that runs; say whether anything did. Certificates and logs stay; the deployment is lost."""
    with exclusively(addresses.directory, say):
        ended = [
            data_endpoint_process(addresses).stop(),
            emulator_process(addresses).stop(),
        ]
        forget_deployment(addresses.directory)
        addresses.environment_file.unlink(missing_ok=True)
        return any(ended)


def status(addresses: Addresses) -> dict[str, str | None]:
    """What runs, part by part; None where something does not."""
    certificates = ServerCertificates.in_directory(addresses.directory)
    made = certificates.root.exists()
    deployment = current_deployment(addresses.directory)
    return {
        "emulator": addresses.gateway if made and is_healthy(addresses, certificates) else None,
        "data endpoint": f"https://localhost:{addresses.https_port}"
        if made and is_serving(addresses, certificates)
        else None,
        "deployment": f"fleet {deployment.outputs['Fleet']}, issuer {deployment.issuer}" if deployment else None,
        "environment": str(addresses.environment_file) if addresses.environment_file.exists() else None,
    }


def _build_zymkey(say: Say) -> str | None:
    began = time.monotonic()
    try:
        built = build()
    except CannotBuild as problem:
        say(f"simulated Zymkey: none. {problem}")
        return str(problem)
    say(f"simulated Zymkey: {_done('built', began) if built.compiled else 'is built'}")
    return None


def _start_emulator(addresses: Addresses, certificates: ServerCertificates, say: Say) -> None:
    began = time.monotonic()
    # Printed each time, because this is the only part that other machines can reach.
    where = f"{addresses.gateway}, MQTT on port {addresses.mqtt_port} of all interfaces"
    if ensure_emulator(addresses, certificates):
        forget_deployment(addresses.directory)
        say(f"emulator: {_done('started', began)}, {where}")
    else:
        say(f"emulator: runs already, {where}")


def _start_data_endpoint(
    addresses: Addresses, certificates: ServerCertificates, aws: Mapping[str, str], say: Say
) -> None:
    began = time.monotonic()
    url = f"https://{DATA_ENDPOINT_HOST}:{addresses.https_port}"
    if ensure_data_endpoint(addresses, certificates, _data_endpoint_environment(addresses, aws)):
        say(f"data endpoint: {_done('started', began)}, {url}")
    else:
        say(f"data endpoint: runs already, {url}")


def _data_endpoint_environment(addresses: Addresses, aws: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), **aws, **addresses.to_environment()}


def _ensure_deployment(
    addresses: Addresses, aws: Mapping[str, str], settings: Mapping[str, str], app: Path, say: Say
) -> Deployment:
    began = time.monotonic()
    deployment = current_deployment(addresses.directory)
    if deployment is not None and deployment.digest == deployment_digest(settings, app):
        say(f"deployment: is up to date, issuer {settings['issuer']}")
        return deployment
    say(f"deployment: `cdk deploy --all`, issuer {settings['issuer']} ...")
    outputs = deploy(addresses, aws, settings, app)
    connection = sdk_connection(aws)
    iam = boto3.client("iam", **connection)
    deployment = Deployment(
        digest=deployment_digest(settings, app),
        outputs=outputs,
        operator=ensure_person(iam, outputs["OperatorPolicyArn"]),
    )
    adapt_roles(iam, boto3.client("cloudformation", **connection), deployment.enrollment_stack)
    record_deployment(addresses.directory, deployment)
    say(f"deployment: {_done('deployed', began)}")
    return deployment


def _example_authority(addresses: Addresses, aws: Mapping[str, str], issuer: str) -> ExampleAuthority | None:
    """The external CA, if this deployment names one. It goes on naming one after the first time it did.

    AWS IoT registers a CA only once; a deployment that no longer named it could not register it again later.
    """
    directory = addresses.directory / "external-ca"
    code = boto3.client("iot", **sdk_connection(aws)).get_registration_code()["registrationCode"]
    if issuer != EXTERNAL and not is_proved_to(directory, code):
        return None
    environment = {"PATH": os.environ.get("PATH", os.defpath), **aws}
    return ensure_example_authority(directory, environment, code)


def _write_environment(addresses: Addresses, certificates: ServerCertificates, deployment: Deployment) -> None:
    roots = addresses.directory / "roots.pem"
    # Gateway and data endpoint show our certificate, the MQTT broker the emulator's own.
    roots.write_bytes(certificates.root.read_bytes() + mqtt_root_certificate(addresses, certificates))
    # With a domain EnrollmentUrl is that; the first release has no ApiUrl.
    api_url = deployment.outputs.get("ApiUrl", deployment.outputs["EnrollmentUrl"])
    device = device_environment(
        addresses,
        enrollment_url=reachable_enrollment_url(addresses, api_url),
        roots=roots,
        engines=ZYMKEY_ENGINES,
    )
    operator = {f"{OPERATOR_PREFIX}{name}": value for name, value in deployment.operator.items()}
    aws = aws_environment(addresses, certificates)
    write_environment_file(addresses.environment_file, {**aws, **device, **operator})


def _done(what: str, began: float) -> str:
    return f"{what} in {time.monotonic() - began:.1f} s"
