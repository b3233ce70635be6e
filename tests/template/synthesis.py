"""The app's templates as CloudFormation gets them, synthesized once for each choice of settings."""

import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import App
from aws_cdk.cx_api import CloudAssembly

from infra.bundle import Bundle
from infra.deployment import add_stacks
from infra.settings import CONTEXT_KEY, Settings
from pki.issuers import EXTERNAL

ROOT = Path(__file__).parents[2]

EXTERNAL_CA = {
    "certificate": str(ROOT / "tests/template/external_ca/ca.pem"),
    "verificationCertificate": str(ROOT / "tests/template/external_ca/verification.pem"),
}

# What a destroyed deployment with these settings left behind; the CA's id is that of EXTERNAL_CA's certificate.
ADOPTED_KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
ADOPT: dict[str, dict[str, Any]] = {
    "kms": {"ledgerTable": "old-ledger", "iotPolicy": "old-policy", "certificateAuthorities": {"2026": ADOPTED_KEY}},
    "aws": {"ledgerTable": "old-ledger", "iotPolicy": "old-policy"},
    "external": {
        "ledgerTable": "old-ledger",
        "iotPolicy": "old-policy",
        "externalCertificateAuthority": "a635e26d8d05a9acc046b5af6fd32bdb23dfccbdf385e1a2ded8bcf753bc486d",
    },
}

# AWS credentials for devices: a folder for each in one bucket, and a policy of the account's own.
CREDENTIALS: dict[str, Any] = {
    "statements": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::pictures/${credentials-iot:ThingName}"}
    ],
    "managedPolicyArns": ["arn:aws:iam::123456789012:policy/readings"],
    "durationSeconds": 7200,
}

Resource = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Template:
    """One stack's template."""

    stack: str
    body: dict[str, Any]

    def resources(self, kind: str = "") -> dict[str, Resource]:
        """By logical id, those of one type or all."""
        found: dict[str, Resource] = self.body["Resources"]
        return {name: resource for name, resource in found.items() if kind in ("", resource["Type"])}

    def only(self, kind: str) -> Resource:
        """The properties of the one resource of this type."""
        (resource,) = self.resources(kind).values()
        properties: Resource = resource["Properties"]
        return properties

    def function(self, handler: str) -> tuple[str, Resource]:
        """Logical id and properties of the function with this handler."""
        ((name, resource),) = (
            (name, resource)
            for name, resource in self.resources("AWS::Lambda::Function").items()
            if resource["Properties"]["Handler"] == handler
        )
        return name, resource["Properties"]

    def statements_of_role(self, role: str) -> Iterator[dict[str, Any]]:
        """The statements of all policies of a role, by its logical id."""
        for policy in self.resources("AWS::IAM::Policy").values():
            if {"Ref": role} in policy["Properties"]["Roles"]:
                yield from policy["Properties"]["PolicyDocument"]["Statement"]


@dataclass(frozen=True, kw_only=True)
class Templates:
    trust: Template
    enrollment: Template


def context(**overrides: Any) -> dict[str, Any]:
    """cdk.json's context with settings replaced, with the test's CA for the issuer ``external``."""
    whole: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    if overrides.get("issuer") == EXTERNAL:
        overrides = {"externalCertificateAuthority": EXTERNAL_CA} | overrides
    return whole | {CONTEXT_KEY: whole[CONTEXT_KEY] | overrides}


def add_app_stacks(app: App) -> None:
    """What app.py does, with an empty bundle: the functions' code is no part of a template."""
    add_stacks(
        app,
        settings=Settings.from_context(app.node.get_all_context()),
        bundle=Bundle(directory=_empty_bundle(), digest="0" * 64),
    )


def synthesize(**overrides: Any) -> Templates:
    """The templates for cdk.json's settings with these replaced. Values must not be changed by the caller."""
    return _synthesize(json.dumps(overrides, sort_keys=True))


@functools.cache
def _synthesize(overrides: str) -> Templates:
    app = App(context=context(**json.loads(overrides)), builtin_cloud_formation_validation=False)
    add_app_stacks(app)
    assembly: CloudAssembly = app.synth()
    trust, enrollment = sorted(assembly.stacks, key=lambda stack: "-Enrollment" in stack.stack_name)
    return Templates(
        trust=Template(stack=trust.stack_name, body=trust.template),
        enrollment=Template(stack=enrollment.stack_name, body=enrollment.template),
    )


@functools.cache
def _empty_bundle() -> Path:
    # TemporaryDirectory removes the folder when it is collected: here, when Python ends.
    directory = Path(_directory().name)
    (directory / "empty.py").touch()
    return directory


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bundle-")
