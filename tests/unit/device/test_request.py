"""The signing request is kept across tries and restarts, so that it costs the HSM one signature whatever happens."""

import base64
import json
import shutil

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from device.csr import to_pem
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

NOT_YET = Answer(202, b"", {"Retry-After": "3600"})
REFUSED = Answer(403)


def requests(est: EstServer) -> set[bytes]:
    return {asked.body for asked in est.enrollments}


def test_tries_and_restarts_and_refusals_cost_the_hsm_one_signature_and_the_handshake_another(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, est: EstServer
) -> None:
    for answer, code in ((NOT_YET, 7), (REFUSED, 6), (Answer(503), 8), (NOT_YET, 7)):
        est.answers = [answer]
        assert zymkey_pi.run("bootstrap", "--give-up-after", "0s").returncode == code
    assert zymkey.signatures() == 1

    done = zymkey_pi.run("bootstrap")

    assert done.returncode == 0, done.stderr
    assert "signed before, and kept" in done.stdout
    assert zymkey.signatures() == 2
    assert (len(est.enrollments), len(requests(est))) == (5, 1)
    assert zymkey_pi.run("renew").returncode == 13
    assert zymkey.signatures() == 2, "the next request is the same"


@pytest.mark.parametrize("spoilt", [b"", b"\xff\x00", "cut", "another key's", "another name's", "forged"])
def test_one_that_does_not_fit_is_made_anew(
    pi: Pi, est: EstServer, zymkey_iot: Command, spoilt: bytes | str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    request = pi.state / "request.pem"
    est.answers = [NOT_YET] * 2
    assert zymkey_iot("bootstrap").returncode == 7
    good = request.read_bytes()
    if spoilt == "cut":
        request.write_bytes(good[:150])
    elif spoilt == "another key's":
        other = tmp_path_factory.mktemp("other")
        shutil.copytree(pi.state, other, dirs_exist_ok=True)
        (other / "key.pem").unlink()
        assert zymkey_iot("bootstrap", "--state", str(other)).returncode == 7
        request.write_bytes((other / "request.pem").read_bytes())
    elif spoilt == "another name's":
        assert zymkey_iot("bootstrap", "--name", "pi-8").returncode == 7
    elif spoilt == "forged":
        der = bytearray(base64.b64decode(b"".join(good.splitlines()[1:-1])))
        der[-3] ^= 1
        lines = [b"-----BEGIN CERTIFICATE REQUEST-----", base64.encodebytes(bytes(der)).strip()]
        request.write_bytes(b"\n".join([*lines, b"-----END CERTIFICATE REQUEST-----", b""]))
    else:
        assert isinstance(spoilt, bytes)
        request.write_bytes(spoilt)
    assert request.read_bytes() != good
    est.asked.clear()
    est.answers = []

    done = zymkey_iot("bootstrap", "--name", "pi-7")

    assert done.returncode == 0, done.stderr
    assert "signed by the software key" in done.stdout
    assert request.read_bytes() == to_pem(base64.b64decode(est.enrollments[-1].body))


def test_one_that_the_cloud_does_not_take_is_not_sent_again(pi: Pi, est: EstServer, zymkey_iot: Command) -> None:
    est.answers = [Answer(400)]

    done = zymkey_iot("bootstrap", "--json")

    assert (done.returncode, json.loads(done.stdout)["error"]) == (6, "enrollment-refused")
    assert not (pi.state / "request.pem").exists()
    assert zymkey_iot("bootstrap").returncode == 0
    assert len(requests(est)) == 2


def test_the_configuration_comes_with_the_certificate_in_one_request(
    pi: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0

    assert [asked.path.rsplit("/", 1)[-1] for asked in est.asked] == ["simpleenroll"]
    assert json.loads((pi.state / "configuration.json").read_bytes()) == est.configuration


def test_a_renewal_needs_one_request_too(pi: Pi, est: EstServer, zymkey_iot: Command) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    before = requests(est)
    est.issued.clear()
    est.asked.clear()
    est.configuration["topics"] = {"publish": ["devices/{device}/*", "new/{device}"], "subscribe": []}

    assert zymkey_iot("renew").returncode == 0

    assert [asked.path.rsplit("/", 1)[-1] for asked in est.asked] == ["simplereenroll"]
    assert json.loads((pi.state / "configuration.json").read_bytes()) == est.configuration
    assert len(requests(est) | before) == 1


def test_a_cloud_of_an_earlier_release_is_asked_for_the_configuration(
    pi: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    est.is_of_an_earlier_release = True

    assert zymkey_iot("bootstrap").returncode == 0

    assert [asked.path.rsplit("/", 1)[-1] for asked in est.asked] == ["simpleenroll", "configuration"]
    assert json.loads((pi.state / "configuration.json").read_bytes()) == est.configuration


@pytest.mark.parametrize("members", [{}, {"configuration": None}])
def test_a_certificate_that_comes_without_the_configuration_is_kept(
    pi: Pi, est: EstServer, zymkey_iot: Command, members: dict[str, None]
) -> None:
    est.answers = [NOT_YET]
    assert zymkey_iot("bootstrap").returncode == 7
    certificate = est.issue(base64.b64decode(est.enrollments[0].body))
    est.answers = [_with_configuration(certificate=certificate.public_bytes(Encoding.PEM).decode(), **members)]

    assert zymkey_iot("bootstrap").returncode == 0

    assert est.asked[-1].path == "/stage/configuration"
    assert json.loads((pi.state / "configuration.json").read_bytes()) == est.configuration


def _with_configuration(**members: object) -> Answer:
    return Answer(
        200, json.dumps(members).encode(), {"Content-Type": "application/vnd.zymkey-fleet.enrollment+json; x=y"}
    )


def test_a_reply_without_a_certificate_for_this_key_is_refused(pi: Pi, est: EstServer, zymkey_iot: Command) -> None:
    pem = est.authority.certificate.public_bytes(Encoding.PEM).decode()
    wrong = [
        _with_configuration(),
        _with_configuration(certificate=pem),
        _with_configuration(certificate=7, configuration=est.configuration),
        _with_configuration(certificate="", configuration=est.configuration),
        _with_configuration(certificate=pem + pem, configuration=est.configuration),
        _with_configuration(certificate=pem, configuration=est.configuration),
        Answer(200, b"[" * 100_000, {"Content-Type": "application/vnd.zymkey-fleet.enrollment+json"}),
    ]
    for answer in wrong:
        est.answers = [answer]
        done = zymkey_iot("bootstrap", "--give-up-after", "0s")
        assert (done.returncode, "defect" in done.stderr) == (8, False), (answer.body[:80], done.stderr)
    assert not (pi.state / "certificate.pem").exists()
