"""Twenty faults, each injected for real: doctor alone leads to the cause, and says what to do.

What it says is also compared with docs/troubleshooting.md. When it is said better now: `make troubleshooting`.
"""

import pytest

from tests.end_to_end import troubleshooting
from tests.end_to_end.device_faults import FAULTS, Fault
from tests.support.cloud.patient import Patient, anonymous, bootstrapped, json_of


@pytest.fixture(scope="module")
def healthy(sandbox, tmp_path_factory) -> Patient:
    return bootstrapped(sandbox, tmp_path_factory.mktemp("healthy"))


@pytest.mark.parametrize(("number", "fault"), list(enumerate(FAULTS, 1)), ids=[fault.title for fault in FAULTS])
def test_doctor_leads_to_the_cause_and_the_cure(healthy, tmp_path, number: int, fault: Fault):
    code, output = troubleshooting.examine(fault, healthy, tmp_path)
    lines = output.splitlines()
    first = next(line for line in lines if line.startswith(("failed", "warning")))
    cure = lines[lines.index(first) + 1]

    assert code == fault.exit_code, output
    assert first.split()[1] == fault.check, output
    assert fault.cause in first
    assert cure.lstrip().startswith("Try: ")
    assert fault.cure in cure
    assert lines[-1].split()[0] == fault.check or f"; {fault.check} should be looked at" in lines[-1]
    assert troubleshooting.section(number, fault, output) == troubleshooting.recorded(
        troubleshooting.heading(number, fault)
    ), "docs/troubleshooting.md is stale: make troubleshooting"


def test_a_healthy_device_is_said_to_be_well_at_the_cost_of_two_signatures(healthy):
    healthy.zymkey.reset()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in healthy.state.iterdir()}

    result = healthy.doctor()

    assert (result.returncode, result.stderr) == (0, "")
    assert healthy.zymkey.signatures() == 2
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in healthy.state.iterdir()} == before
    section = troubleshooting.healthy_section(anonymous(result.stdout, healthy))
    assert section == troubleshooting.recorded(section.partition("\n")[0]), "make troubleshooting"


def test_after_a_fault_the_device_is_as_it_was(healthy):
    assert json_of(healthy.doctor("--json"))["exitCode"] == 0


def test_the_document_is_the_faults_the_healthy_device_and_the_checks():
    headings = [troubleshooting.heading(number, fault) for number, fault in enumerate(FAULTS, 1)]
    sections = {heading: troubleshooting.recorded(heading) for heading in headings}
    well = troubleshooting.recorded("## A device on which all is well")

    assert len(FAULTS) == 20
    assert troubleshooting.DOCUMENT.read_text() == troubleshooting.document(sections, well)
