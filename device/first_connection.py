"""The first connection of a certificate that AWS IoT has never met, because the fleet's CA signed it elsewhere.

AWS IoT registers such a certificate when it comes with an MQTT CONNECT, and only then: it drops that connection and
tells the fleet, which activates the certificate if the key may enroll (AWS IoT developer guide, "Just-in-time
registration"). Where that is switched off, or the message is lost, or a token has to be shown, the device uploads
the certificate itself.

What it costs the HSM: a signature for each connection. Three where the fleet is quick: the publish that is refused,
the connection that is dropped, and the publish that is taken. The upload costs none.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptography.exceptions import InvalidSignature

from . import est, retry
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
from .steps import SETTLING_TIME, enroll, prove_over_https, publish_test_message, tell_wait
from .store import StateFolder
from .upload import upload

# How long the fleet gets to act on AWS IoT's message: a function that starts, six calls.
REGISTRATION_TIME = 20.0
# No use to look sooner; each look is a signature.
FIRST_LOOK = 3.0

Answer = TypeVar("Answer")


def prove_first_connection(device: Device, state: StateFolder, report: Report) -> Device:
    """Have the certificate let in, and prove it with a publish. Returns the device with the certificate that was.

    Raises CertificateUnwanted when the fleet never takes such a certificate, EnrollmentRefused and Pending when it
    does not take it of this device, or not yet.
    """
    refusal = _refusal(device, report, within=0)
    if refusal is None:
        return device
    try:
        return _let_in(device, refusal, state, report)
    except CertificateUnwanted:
        # Or the next bootstrap, without it, would find it here and end in the same way.
        state.drop_candidate()
        raise


def _let_in(device: Device, refusal: DeviceError, state: StateFolder, report: Report) -> Device:
    if device.configuration.issuer != EXTERNAL_ISSUER:
        raise _no_place(device, refusal)
    authority = _authority(device, report)
    # With a token the key is one that the fleet does not know yet, and a connection does not show tokens.
    if device.settings.token is None and _is_dropped(device, authority, report):
        report.note(
            "AWS IoT always drops the first connection of a certificate: it registers it, and the fleet activates it."
        )
        time.sleep(FIRST_LOOK)
        if _refusal(device, report, within=REGISTRATION_TIME - FIRST_LOOK) is None:
            return device
    device = _uploaded(device, state, report)
    prove_over_https(device, report, give_up_after=SETTLING_TIME)
    return device


def _refusal(device: Device, report: Report, *, within: float) -> DeviceError | None:
    """Publish; None when AWS IoT takes it, else why it does not let the device in. Other failures are raised."""
    with report.step("publish") as step:
        try:
            publish_test_message(device, step, report, give_up_after=within)
        except (CertificateRefused, TopicDenied) as refusal:
            step.done = f"not yet: {refusal.cause}"
            return refusal
    return None


def _no_place(device: Device, refusal: DeviceError) -> DeviceError:
    if isinstance(refusal, TopicDenied):
        return refusal  # AWS IoT knows the certificate well
    return CertificateUnwanted(
        "AWS IoT does not know the certificate, and this fleet takes none that was signed elsewhere: its issuer is"
        f" {device.configuration.issuer}.",
        cure="bootstrap without a certificate: the fleet issues one for the same key",
    )


def _authority(device: Device, report: Report) -> DeviceCertificate:
    """The CA of the fleet that signed the certificate, which belongs to a first connection. Asks the cloud."""
    url = device.settings.url or ""
    authorities = _insist(device, report, lambda: est.ca_certificates(url, context=device.context))
    for authority in authorities:
        if _has_signed(authority, device.certificate):
            return authority
    raise CertificateUnwanted(
        f"the certificate was signed by {device.certificate.x509.issuer.rfc4514_string()!r}, and not by this fleet's"
        f" CA, {_names(authorities)}.",
        cure="a certificate of that CA; or bootstrap without one, and the fleet issues it",
    )


def _has_signed(authority: DeviceCertificate, certificate: DeviceCertificate) -> bool:
    try:
        certificate.x509.verify_directly_issued_by(authority.x509)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(authorities: Sequence[DeviceCertificate]) -> str:
    return " or ".join(repr(each.x509.subject.rfc4514_string()) for each in authorities)


def _is_dropped(device: Device, authority: DeviceCertificate, report: Report) -> bool:
    """Make the first connection. False where MQTT is out of reach, which is no reason to give up."""
    with report.step("connect") as step:
        try:
            # With the CA's certificate, as the developer guide wants it of a first connection.
            device.mqtt(chain=[authority]).connect()
        except CertificateRefused:
            step.done = "over MQTT, and dropped, as it must be"
        except TopicDenied:
            step.done = "over MQTT; the certificate is registered, and its policy not attached yet"
        except (NetworkError, ServerNotTrusted, SignerUnsupported, UsageError) as failure:
            step.done = f"not over MQTT: {failure.cause}"
            return False
        else:
            step.done = "over MQTT, and accepted"
    return True


def _uploaded(device: Device, state: StateFolder, report: Report) -> Device:
    """Hand the certificate to the fleet. If it had it before, and this was not enough, take what it issues now."""
    settings = device.settings
    with report.step("upload") as step:
        fresh = _insist(
            device,
            report,
            lambda: upload(
                settings.url or "",
                device.certificate,
                name=settings.name,
                token=settings.token,
                key=device.key,
                context=device.context,
            ),
        )
        step.done = "the fleet has registered the certificate" if fresh else "the fleet has had the certificate before"
    if fresh:
        return device
    # Superseded by a renewal whose files are lost, perhaps. The same comes back if it is still the right one.
    certificate = enroll(state, device.key, settings, device.context, report)
    return Device(settings, device.configuration, certificate, device.key, device.context)


def _insist(device: Device, report: Report, operation: Callable[[], Answer]) -> Answer:
    return retry.retry(operation, give_up_after=device.settings.give_up_after, on_wait=tell_wait(report))
