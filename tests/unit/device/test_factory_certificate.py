"""Certificates that came with a device and are no use to it: told before anybody is asked, and never kept."""

from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.device.authority import DAY, Authority, common_name, now
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.factory import Factory, kept
from tests.support.device.pi import Pi


@dataclass(frozen=True)
class Useless:
    sentence: str
    exit_code: int
    changes: dict[str, object] = field(default_factory=dict)


USELESS = {
    "another name": Useless(
        "is for the name 'pi-8', but this device's name is 'pi-7' (ZYMKEY_IOT_NAME)", 12, {"name": "pi-8"}
    ),
    "no name": Useless("must be the device's name", 12, {"name": "not a name"}),
    "not yet valid": Useless("is not valid before", 12, {"since": now() + DAY}),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_certificate_that_is_no_use_is_told_before_anybody_is_asked(
    pi: Pi, factory: Factory, est: EstServer, case: str
) -> None:
    factory.certify(pi, **USELESS[case].changes)  # type: ignore[arg-type]

    result = pi.run("bootstrap")

    assert result.returncode == USELESS[case].exit_code
    assert USELESS[case].sentence in result.stderr
    assert "Try: " in result.stderr
    assert est.asked == []
    assert set(pi.files()) == {"key.pem", "lock"}


def test_a_certificate_for_another_key_is_told_with_both_fingerprints(
    pi: Pi, factory: Factory, authority: Authority, est: EstServer
) -> None:
    factory.certify(pi)
    other = ec.generate_private_key(ec.SECP256R1())
    factory.write(pi, authority.issue(other.public_key(), common_name("pi-7")))

    result = pi.run("bootstrap")

    assert result.returncode == 12
    assert result.stderr.count("SHA256:") == 2
    assert est.asked == []


@pytest.mark.parametrize(("content", "exit_code"), [(None, 2), (b"\x30\x82", 12), (b"", 12)])
def test_a_file_that_is_missing_or_not_pem_is_named(
    pi: Pi, factory: Factory, content: bytes | None, exit_code: int
) -> None:
    factory.certify(pi)
    factory.card.unlink()
    if content is not None:
        factory.card.write_bytes(content)

    result = pi.run("bootstrap")

    assert result.returncode == exit_code
    assert f"{factory.card} (ZYMKEY_IOT_CERTIFICATE)" in result.stderr


def test_an_expired_certificate_is_said_and_another_is_asked_for(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    expired = factory.certify(pi, since=now() - 2 * DAY, until=now() - DAY)
    endpoint.known = None

    result = pi.run("bootstrap")

    assert result.returncode == 0, result.stderr
    assert f"the certificate in {factory.card} has expired" in result.stdout
    assert kept(pi) != expired
    assert len(est.enrollments) == 1


def test_a_certificate_that_the_fleet_never_takes_does_not_stay(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    factory.certify(pi)
    est.authorities = [Authority("the fleet's CA").certificate]
    another_ca = pi.run("bootstrap")

    est.configuration["issuer"] = "kms"
    no_ca = pi.run("bootstrap")

    est.configuration["issuer"] = "external"
    est.authorities = [factory.authority.certificate]
    est.upload_answers = [Answer(400, b"The certificate's extendedKeyUsage lacks clientAuth.")]
    no_client = pi.run("bootstrap", ZYMKEY_IOT_TOKEN="one-time")

    assert [each.returncode for each in (another_ca, no_ca, no_client)] == [6, 6, 6]
    assert "signed by 'CN=loopback CA', not by this fleet's CA, \"CN=the fleet's CA\"" in another_ca.stderr
    assert "its issuer is kms" in no_ca.stderr
    assert "does not accept this certificate (400): The certificate's extendedKeyUsage lacks" in no_client.stderr
    assert "certificate.pem.new" not in pi.files()
    endpoint.known = None
    del pi.environment["ZYMKEY_IOT_CERTIFICATE"]
    assert pi.run("bootstrap").returncode == 0
