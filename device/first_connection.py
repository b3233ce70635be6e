"""The first connection with a certificate that AWS IoT does not know yet, because the fleet's CA signed it elsewhere.

AWS IoT registers such a certificate when it first sees it, drops that connection, and tells the fleet, which activates
the certificate if the key may enroll (AWS IoT developer guide, "Just-in-time registration"). The guide says so of MQTT;
over HTTPS it happens too (Nordic's nRF Cloud library relies on it): the first request ends without a reply, and later
ones are answered with 403 until the certificate is active. So the device's first publish may be all that is needed. If
the next one ends without a reply again, HTTPS has registered nothing, and the device connects over MQTT. Where
just-in-time registration is off, or the message is lost, or a token has to be shown, it uploads the certificate itself.

Each connection costs the HSM one signature. If the fleet is quick there are two where HTTPS registers (the publish that
is dropped, and the one that is accepted), and four where only MQTT does. The upload costs no signature.
"""

import time
from collections.abc import Sequence

from . import est
from .certificate import DeviceCertificate
from .configuration import EXTERNAL_ISSUER
from .device import Device
from .errors import (
    CertificateRefused,
    CertificateUnwanted,
    DeviceError,
    NetworkError,
    ServerNotTrusted,
    SignerUnsupported,
    TopicDenied,
    UsageError,
)
from .report import Report
from .steps import SETTLING_TIME, Run, enroll, prove_over_https, publish_test_message
from .upload import upload

# Seconds for the fleet to act on AWS IoT's message: a function starts and makes six calls.
REGISTRATION_TIME = 20.0
# Seconds until the first look. The fleet is never quicker, and each look costs a signature.
FIRST_LOOK = 3.0


def prove_first_connection(device: Device, run: Run) -> Device:
    """Have the certificate accepted, and prove it with a publish.

    Returns the device with the certificate that was accepted: this one, or one that the fleet issued in its place.

    Raises:
        CertificateUnwanted: the fleet never accepts such a certificate.
        EnrollmentRefused: the fleet does not accept it from this device.
        Pending: the fleet does not accept it yet.
    """
    refusal = _refusal(device, run, within=0)
    if refusal is None:
        return device
    try:
        return _accepted(device, refusal, run)
    except CertificateUnwanted:
        # If it stayed, the next bootstrap would find it here, and end in the same way.
        run.state.drop_candidate()
        raise


def _accepted(device: Device, refusal: DeviceError, run: Run) -> Device:
    if device.configuration.issuer != EXTERNAL_ISSUER:
        raise _never_accepted(device, refusal)
    authority = _authority(device, run)
    # A device with a token has a key that the fleet does not know yet, and a connection cannot show the token.
    if device.settings.token is None and _is_let_in(device, authority, refusal, run):
        return device
    device = _uploaded(device, run)
    prove_over_https(device, run, within=SETTLING_TIME)
    return device


def _is_let_in(device: Device, authority: DeviceCertificate, refusal: DeviceError, run: Run) -> bool:
    """Whether the fleet has activated the certificate, because AWS IoT told it of a connection."""
    if isinstance(refusal, CertificateRefused):
        run.report.note(
            "AWS IoT always drops the first connection with a new certificate: it registers the certificate, and the"
            " fleet activates it."
        )
        second = _look(device, run, within=0)
        if second is None:
            return True
        # Without a 403 nothing is registered: the first connection was no first connection to AWS IoT.
        if isinstance(second, CertificateRefused) and not _is_dropped(device, authority, run.report):
            return False
    return _look(device, run, within=REGISTRATION_TIME - FIRST_LOOK) is None


def _look(device: Device, run: Run, *, within: float) -> DeviceError | None:
    """Give the fleet a moment, and see what AWS IoT says then; as ``_refusal``."""
    time.sleep(run.deadline.left(FIRST_LOOK))
    return _refusal(device, run, within=within)


def _refusal(device: Device, run: Run, *, within: float) -> DeviceError | None:
    """Publish; None when AWS IoT accepts the message, else the refusal. Other failures are raised."""
    with run.report.step("publish") as step:
        try:
            publish_test_message(device, step, run, within=within)
        except (CertificateRefused, TopicDenied) as refusal:
            step.done = f"not yet: {refusal.cause}"
            return refusal
    return None


def _never_accepted(device: Device, refusal: DeviceError) -> DeviceError:
    if isinstance(refusal, TopicDenied):
        return refusal  # AWS IoT knows the certificate
    return CertificateUnwanted(
        "AWS IoT does not know the certificate, and this fleet does not accept certificates that were signed elsewhere:"
        f" its issuer is {device.configuration.issuer}.",
        cure="bootstrap without --certificate: the fleet then issues a certificate for the same key",
    )


def _authority(device: Device, run: Run) -> DeviceCertificate:
    """The fleet's CA that signed the certificate, for the first connection to show. Asks the cloud."""
    authorities = run.retried(lambda: run.urls.ask(lambda url: est.ca_certificates(url, network=device.network)))
    for authority in authorities:
        if authority.has_signed(device.certificate):
            return authority
    raise CertificateUnwanted(
        f"the certificate was signed by {device.certificate.issuer!r}, not by this fleet's CA, {_names(authorities)}.",
        cure="use a certificate from that CA; or bootstrap without --certificate, and the fleet issues one",
    )


def _names(authorities: Sequence[DeviceCertificate]) -> str:
    return " or ".join(repr(each.subject) for each in authorities)


def _is_dropped(device: Device, authority: DeviceCertificate, report: Report) -> bool:
    """Make the first connection over MQTT. False when it cannot be reached, which is no reason to give up."""
    with report.step("connect") as step:
        try:
            # With the CA's certificate, as the developer guide asks for at a first connection. Over HTTPS it is left
            # out: where the client names the server, AWS IoT finds the CA without it.
            device.mqtt(chain=[authority], tell=report.note).connect()
        except CertificateRefused:
            step.done = "over MQTT; AWS IoT dropped the connection, as expected"
        except TopicDenied:
            step.done = "over MQTT; the certificate is registered, but its policy is not attached yet"
        except (NetworkError, ServerNotTrusted, SignerUnsupported, UsageError) as failure:
            step.done = f"MQTT cannot be used: {failure.cause}"
            return False
        else:
            step.done = "over MQTT; AWS IoT accepted the connection"
    return True


def _uploaded(device: Device, run: Run) -> Device:
    """Upload the certificate to the fleet. If the fleet has had it before, and that did not help, enroll instead."""
    settings = device.settings
    with run.report.step("upload") as step:
        fresh = run.retried(
            lambda: run.urls.ask(
                lambda url: upload(
                    url,
                    device.certificate,
                    name=settings.name,
                    token=settings.token if url == settings.url else None,
                    key=device.key,
                    network=device.network,
                )
            ),
        )
        step.done = (
            "the fleet registered the certificate" if fresh else "the fleet had registered the certificate before"
        )
    if fresh:
        return device
    # Perhaps a renewal has superseded it, and its files are lost. If not, the fleet sends the same certificate.
    certificate = enroll(run).certificate
    return Device(settings, device.configuration, certificate, device.key, device.network)
