"""Hand a finished certificate to the fleet: one that its CA signed elsewhere. The fleet registers it with AWS IoT."""

import ssl

from . import est, https
from .certificate import DeviceCertificate
from .errors import CertificateUnwanted
from .keys import DeviceKey

PATH = "/certificates"


def upload(
    url: str,
    certificate: DeviceCertificate,
    *,
    name: str,
    token: str | None,
    key: DeviceKey,
    context: ssl.SSLContext,
) -> bool:
    """Ask once. True when the fleet has registered it, False when it had been there before.

    The CA's signature vouches for the certificate, so this costs the key nothing. Raises CertificateUnwanted (400)
    and else what `est.enroll` raises: EnrollmentRefused, Pending, Busy.
    """
    headers = {"Content-Type": "application/x-pem-file", **est.authorization(name, token)}
    reply = https.request("POST", url + PATH, context=context, headers=headers, body=certificate.pem)
    if reply.status == 200:
        return True
    if reply.status == 409:
        return False
    if reply.status == 400:
        raise CertificateUnwanted(
            f"the fleet does not take this certificate (400): {reply.sentence()}.",
            cure="have another signed; or bootstrap without a certificate, and the fleet issues one",
        )
    raise est.refusal(reply, url=url, name=name, token=token, key=key)
