"""Twenty faults of a Raspberry Pi on a desk or in the field, each injected into a device for real.

`docs/troubleshooting.md` is made from this list: the titles, the docstrings, and the output of doctor.
"""

import datetime
import errno
import json
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.cloud.patient import Patient
from tests.support.device.authority import Authority, common_name
from tests.support.device.intercepting_proxy import InterceptingProxy
from tests.support.device.preload import without_rights


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, and what doctor has to say about it."""

    title: str
    check: str
    """The first check that fails, or the one that warns."""

    exit_code: int
    cause: str
    """Words that have to be in what this check says."""

    cure: str
    """Words that have to be in what it says to try."""

    inject: Callable[[Patient], None]

    @property
    def story(self) -> str:
        """What has happened, in a sentence or two."""
        return " ".join((self.inject.__doc__ or "").split())


FAULTS: list[Fault] = []
"""In the order in which doctor meets them."""


def fault(
    title: str, *, check: str, exit_code: int, cause: str, cure: str
) -> Callable[[Callable[[Patient], None]], Callable[[Patient], None]]:
    """Put a function that injects a fault on the list."""

    def listed(inject: Callable[[Patient], None]) -> Callable[[Patient], None]:
        FAULTS.append(Fault(title=title, check=check, exit_code=exit_code, cause=cause, cure=cure, inject=inject))
        return inject

    return listed


@fault(
    "Python has no distutils",
    check="python",
    exit_code=16,
    cause="fail at import zymkey",
    cure="pip install setuptools",
)
def no_distutils(patient: Patient) -> None:
    """Python 3.12 and later do not have the module distutils, which the vendor's module imports. Your own programs stop
    with "No module named 'distutils'"; zymkey-iot works without it."""
    folder = patient.scratch("site")
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('distutils', 'setuptools'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    patient.environment["PYTHONPATH"] = str(folder)


@fault(
    "OpenSSL does not find the engine",
    check="openssl-engine",
    exit_code=3,
    cause="OpenSSL has no engine zymkey_ssl",
    cure="openssl version -e",
)
def no_engine(patient: Patient) -> None:
    """The device uses its key through an engine (`--key engine:zymkey_ssl`), and the engine is not in the folder where
    OpenSSL looks for engines. OpenSSL 4 has no engines at all. For a device with `--key zymkey:` this is a warning."""
    patient.environment |= {"OPENSSL_ENGINES": str(patient.scratch("engines")), "ZYMKEY_IOT_KEY": "engine:zymkey_ssl"}


@fault(
    "This curl cannot use engines",
    check="curl-engine",
    exit_code=3,
    cause="8.14.1-2+deb13u2 is known to fail with engines",
    cure="sudo apt install curl",
)
def broken_curl(patient: Patient) -> None:
    """The first versions of curl in Debian 13 (trixie) cannot use OpenSSL's engines, so the vendor's curl commands
    fail, and so do keys of the kind `engine:`. For a device with `--key zymkey:` this is a warning."""
    folder = patient.scratch("bin")
    curl = folder / "curl"
    curl.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*--version*)\n"
        "  echo 'curl 8.14.1 (aarch64-unknown-linux-gnu) libcurl/8.14.1 OpenSSL/3.5.1 zlib/1.3.1'\n"
        "  echo 'Release-Date: 2025-06-04, security patched: 8.14.1-2+deb13u2';;\n"
        "*) echo 'curl: (53) SSL crypto engine not found' >&2; exit 53;;\n"
        "esac\n"
    )
    curl.chmod(0o755)
    patient.environment["PATH"] = f"{folder}:{patient.environment['PATH']}"
    patient.environment["ZYMKEY_IOT_KEY"] = "engine:zymkey_ssl"


@fault(
    "The Zymkey's library is not installed",
    check="library",
    exit_code=3,
    cause="the Zymkey's library is not installed",
    cure="install_zk_sw.sh",
)
def no_library(patient: Patient) -> None:
    """`pip install zku` installs the vendor's Python module, but not the library `libzk_app_utils.so` that the module
    loads. The library is in Zymbit's host software."""
    patient.python = bare_python(patient)


def bare_python(patient: Patient) -> str:
    """A virtual environment that has our packages, and no library beside them."""
    import venv

    folder = patient.folder / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(folder / "bin" / Path(sys.executable).name)


@fault(
    "The Zymkey is not connected",
    check="hsm",
    exit_code=3,
    cause="no Zymkey answers",
    cure="i2c is on (sudo raspi-config)",
)
def not_connected(patient: Patient) -> None:
    """The Zymkey is not on the header, or is shifted by one pin; or i2c is off."""
    patient.zymkey.absent()


@fault(
    "The Zymkey stopped answering",
    check="hsm",
    exit_code=3,
    cause="return code -110",
    cure="power the Pi off and on",
)
def bus_times_out(patient: Patient) -> None:
    """The i2c bus times out. The vendor's return code is -110."""
    patient.zymkey.fail(-errno.ETIMEDOUT)


@fault(
    "This user may not use the Zymkey",
    check="hsm",
    exit_code=3,
    cause="this user may not use the Zymkey",
    cure="the groups of the bus",
)
def not_permitted(patient: Patient) -> None:
    """A service runs as a user of its own, and that user is not in the groups of the bus."""
    folder = patient.zymkey.state
    folder.chmod(0)
    patient.afterwards.callback(folder.chmod, 0o700)
    patient.before_start = without_rights


@fault(
    "There is no such slot",
    check="slot",
    exit_code=3,
    cause="there is no such slot",
    cure="Zymkey 4 and HSM4 have slots 0, 1 and 2",
)
def no_such_slot(patient: Patient) -> None:
    """The key's URI names a slot that this model does not have: `--key zymkey:slot=7` on a Zymkey 4."""
    patient.arguments += ["--key", "zymkey:slot=7"]


@fault(
    "The SD card became read-only",
    check="disk",
    exit_code=11,
    cause="is on a read-only file system",
    cure="mount the file system read-write",
)
def read_only(patient: Patient) -> None:
    """Linux makes a failing card read-only. Some images are read-only on purpose."""
    every_write_fails(patient, errno.EROFS)


@fault("The disk is full", check="disk", exit_code=11, cause="the disk is full", cure="df -h")
def full(patient: Patient) -> None:
    """Often the logs have filled the disk."""
    every_write_fails(patient, errno.ENOSPC)


def every_write_fails(patient: Patient, number: int) -> None:
    """The first system call that would change a file of the state folder fails, so nothing is changed."""
    patient.preload("kill_at_write")
    patient.environment |= {"KILL_UNDER": str(patient.state), "KILL_AT": "1", "KILL_ERRNO": str(number)}


@fault(
    "Other users can write the state folder",
    check="file-modes",
    exit_code=11,
    cause="other users can write /var/lib/zymkey-iot (mode 0777)",
    cure="chmod 0700",
)
def open_to_all(patient: Patient) -> None:
    """After a `chmod -R 777` any program on this Pi can replace the certificate, or the address of the endpoint."""
    patient.state.chmod(0o777)


@fault(
    "DNS does not answer",
    check="endpoint-dns",
    exit_code=4,
    cause="no DNS server answered for the name",
    cure="resolvectl status",
)
def no_dns(patient: Patient) -> None:
    """The network works, but its DNS server does not answer. Here it is asked for the data endpoint's name."""
    patient.preload("no_dns")
    patient.environment["IOT_ENDPOINT"] = "a1b2c3-ats.iot.eu-central-1.amazonaws.com"


@fault(
    "The clock is wrong",
    check="clock",
    exit_code=5,
    cause="this machine's clock is 400 days slow",
    cure="timedatectl set-ntp true",
)
def wrong_clock(patient: Patient) -> None:
    """A Pi has no battery for its clock: it starts with the time of the last shutdown and waits for NTP, which many
    networks block. With a wrong clock, certificates seem to be not valid yet, or expired."""
    patient.preload("wrong_clock")
    patient.environment["WRONG_CLOCK"] = str(int(time.time()) - 400 * 86400)


@fault(
    "A proxy opens TLS",
    check="enrollment-server",
    exit_code=5,
    cause="It was issued by Example Web Gateway",
    cure="--ca-file",
)
def intercepted(patient: Patient) -> None:
    """Some company networks have a proxy that shows a certificate of its own for every server. Another root does not
    help at the data endpoint, because the proxy cannot show your device's certificate there. Have both hosts
    exempted."""
    proxy = InterceptingProxy(patient.scratch("proxy"), issuer="Example Web Gateway")
    patient.environment["HTTPS_PROXY"] = patient.afterwards.enter_context(proxy).url


@fault(
    "A firewall closes port 8443",
    check="endpoint-https-port",
    exit_code=4,
    cause="port 8443 refuses connections",
    cure="firewall",
)
def port_closed(patient: Patient) -> None:
    """The firewall lets port 443 to the enrollment service pass, but not port 8443 to the data endpoint, and this port
    was set. Without `--https-port`, every command tries port 443 by itself, and doctor gives a warning.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        patient.environment["IOT_HTTPS_PORT"] = str(taken.getsockname()[1])


@fault(
    "The certificate has expired",
    check="certificate",
    exit_code=12,
    cause="the certificate expired on",
    cure="gets a new certificate for the same key",
)
def expired(patient: Patient) -> None:
    """The device was off for longer than its certificate is valid, or its renewal timer never ran."""
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    slot = serialization.load_pem_private_key((patient.zymkey.state / "slot-0.pem").read_bytes(), None)
    assert isinstance(slot, ec.EllipticCurvePrivateKey)
    certificate = Authority().issue(
        slot.public_key(), common_name(patient.name), since=now - 400 * day, until=now - 35 * day
    )
    (patient.state / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@fault(
    "The Zymkey was swapped",
    check="certificate-key",
    exit_code=12,
    cause="the HSM was swapped, this card is a copy",
    cure="sudo zymkey-iot bootstrap --name ANOTHER",
)
def swapped(patient: Patient) -> None:
    """The SD card is in another Pi now, or another Zymkey is on this Pi. For the fleet that is another device, until
    the operator lets it take over the name (`zymkey-fleet replace`)."""
    patient.zymkey.swap()


@fault(
    "The certificate was deactivated",
    check="certificate-accepted",
    exit_code=9,
    cause="refused the certificate 3f9a1c0e77d2",
    cure="zymkey-fleet list",
)
def inactive(patient: Patient) -> None:
    """The operator has blocked the device, or made its certificate inactive. AWS IoT closes the connection without a
    reason."""
    iot = patient.sandbox.boto("iot")
    iot.update_certificate(certificateId=patient.certificate_id, newStatus="INACTIVE")
    patient.afterwards.callback(iot.update_certificate, certificateId=patient.certificate_id, newStatus="ACTIVE")


@fault(
    "No policy is attached",
    check="publish",
    exit_code=10,
    cause="its certificate has no policy of the fleet",
    cure="aws iot attach-policy",
)
def detached(patient: Patient) -> None:
    """The fleet's IoT policy was detached from the certificate. The connection works, but nothing is allowed."""
    detach_policy(patient)


@fault(
    "The policy does not allow the topic",
    check="publish",
    exit_code=10,
    cause="that policy does not allow this topic",
    cure="topics in cdk.json",
)
def topic_denied(patient: Patient) -> None:
    """The policy was changed, or replaced by a policy with other topics."""
    iot = patient.sandbox.boto("iot")
    policy, arn = detach_policy(patient)
    document = iot.get_policy(policyName=policy)["policyDocument"].replace("topic/devices/", "topic/elsewhere/")
    other = f"elsewhere-{patient.name}"
    iot.create_policy(policyName=other, policyDocument=json.dumps(json.loads(document)))
    patient.afterwards.callback(iot.delete_policy, policyName=other)
    iot.attach_policy(policyName=other, target=arn)
    patient.afterwards.callback(iot.detach_policy, policyName=other, target=arn)


def detach_policy(patient: Patient) -> tuple[str, str]:
    """Detach the fleet's policy until afterwards; its name, and the certificate's ARN."""
    iot = patient.sandbox.boto("iot")
    description = iot.describe_certificate(certificateId=patient.certificate_id)["certificateDescription"]
    arn = description["certificateArn"]
    (policy,) = iot.list_attached_policies(target=arn)["policies"]
    iot.detach_policy(policyName=policy["policyName"], target=arn)
    patient.afterwards.callback(iot.attach_policy, policyName=policy["policyName"], target=arn)
    return policy["policyName"], arn
