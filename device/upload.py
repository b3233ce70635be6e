"""Upload a certificate that the fleet's CA has signed elsewhere. The fleet registers it with AWS IoT."""

from . import est, https
from .certificate import DeviceCertificate
from .errors import CertificateUnwanted
from .keys import DeviceKey
from .network import Network

PATH = "/certificates"


def upload(
    url: str,
    certificate: DeviceCertificate,
    *,
    name: str,
    token: str | None,
    key: DeviceKey,
    network: Network,
) -> bool:
    """Upload once. Returns True when the fleet registered the certificate now, False when it had it before.

    The CA's signature proves the certificate, so this costs the key no signature.

    Raises:
        CertificateUnwanted: 400; the fleet does not accept this certificate.
        EnrollmentRefused, Pending, Busy: as ``est.enroll`` raises them.
    """
    headers = {"Content-Type": "application/x-pem-file", **est.authorization(name, token)}
    reply = https.request("POST", url + PATH, network=network, headers=headers, body=certificate.pem)
    if reply.status == 200:
        return True
    if reply.status == 409:
        return False
    if reply.status == 400:
        raise CertificateUnwanted(
            f"the fleet does not accept this certificate (400): {reply.sentence()}.",
            cure="have a new certificate signed; or bootstrap without --certificate, and the fleet issues one",
        )
    raise est.refusal(reply, url=url, name=name, token=token, key=key)
