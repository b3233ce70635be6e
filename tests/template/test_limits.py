"""The longest settings that are allowed make templates that CloudFormation takes, or a sentence says what to do."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from cryptography.hazmat.primitives.asymmetric import ec

from infra.setting_readers import SettingsError
from infra.settings import Settings
from pki.certificates import ca_certificate, device_certificate
from pki.issuers import ISSUERS
from tests.template.synthesis import add_app_stacks, context, synthesize

LONG = "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
SUBJECT = {"C": "DE", **dict.fromkeys(("ST", "L", "O", "OU"), LONG * 64)}


def ca(name: str, length: int) -> dict[str, Any]:
    return {
        "name": name.ljust(32, "x"),
        "commonName": LONG * (length // 2),
        "organization": LONG * length,
        "validityYears": 50,
    }


# As long as each may be; what is longer together than Lambda takes is left out.
LONGEST: dict[str, Any] = {
    "fleet": "f" * 31,
    "certificateAuthorities": [ca("a", 64)],
    "certificateSubject": SUBJECT,
    "certificateValidityDays": 3650,
    "firstConnection": "known-keys",
    "permissionsBoundary": "b" * 128,
    "accessLogGroup": "/aws/vendedlogs/" + "x" * 200,
    "tags": {f"{n}".ljust(128, "k"): "v" * 256 for n in range(40)},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By issuer, the templates of the longest settings."""
    made = {}
    for issuer in ISSUERS:
        made[issuer] = tmp_path_factory.mktemp(issuer)
        app = App(
            context=context(issuer=issuer, **LONGEST),
            outdir=str(made[issuer]),
            builtin_cloud_formation_validation=False,
        )
        add_app_stacks(app)
        app.synth()
    return made


@pytest.mark.slow
def test_cloudformation_takes_the_longest_settings(folders: dict[str, Path]) -> None:
    """cfn-lint knows, by the providers' schemas, how long each name and description may be."""
    templates = [path for folder in folders.values() for path in sorted(folder.glob("*.template.json"))]
    assert len(templates) == 2 * len(ISSUERS)
    command = [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W3005", "--", *templates]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("issuer", ISSUERS)
def test_names_and_descriptions_are_within_what_aws_takes(issuer: str) -> None:
    """What no schema says: names of stacks (128), of APIs (128), of a key's and a function's description."""
    both = synthesize(issuer=issuer, **LONGEST)
    for template in (both.trust, both.enrollment):
        assert len(template.stack) <= 128
        assert len(template.body["Description"].encode()) <= 1024
        assert len(template.body["Resources"]) <= 500
        assert len(template.body.get("Outputs", {})) <= 200
        for resource in template.resources("AWS::Lambda::Function").values():
            assert len(resource["Properties"].get("Description", "")) <= 256
        for resource in template.resources("AWS::KMS::Key").values():
            assert len(resource["Properties"]["Description"].encode()) <= 8192
    assert len(both.enrollment.only("AWS::ApiGatewayV2::Api")["Name"]) <= 128


def test_a_certificate_can_be_made_with_the_longest_subject_that_the_settings_take() -> None:
    """Of characters that take two bytes each: only a common name is counted in bytes, and it is a device's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    authority = ca("a", 64)
    issuer = ca_certificate(
        signer=key,
        common_name=authority["commonName"],
        organization=authority["organization"],
        validity_years=50,
        now=now,
    )
    certificate = device_certificate(
        signer=key,
        ca=issuer,
        key=key.public_key(),
        device="d" * 64,
        subject=Settings.from_context(context(certificateSubject=SUBJECT)).certificate_subject,
        validity_days=1,
        now=now,
    )
    assert certificate.subject.rfc4514_string().count(LONG * 64) == 4


def test_settings_that_do_not_fit_into_a_function_s_environment_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"but Lambda takes 4,096: certificateAuthorities \(fewer"):
        synthesize(certificateAuthorities=[ca(name, 64) for name in "abc"], certificateSubject=SUBJECT)


def test_three_cas_of_ordinary_names_fit() -> None:
    ordinary = [
        {"name": name, "commonName": "Example devices CA", "organization": "Example GmbH", "validityYears": 20}
        for name in ("2026", "2036", "2046")
    ]
    assert synthesize(certificateAuthorities=ordinary, certificateSubject={"C": "DE", "O": "Example GmbH"})
