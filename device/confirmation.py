"""A device says that its new certificate works, so that the cloud switches the one before it off.

It says so over the new certificate, to a topic that the IoT policy allows to no other one: after its own publish has
worked, after the certificate is in use, and after the device's programs were told. A program that still has the old
certificate loaded would be cut off, so while a hook is left to run, nothing is said.

Nothing depends on it: what cannot be said now is said by the next run, and the cloud has its own days of grace.
"""

from .certificate import DeviceCertificate
from .device import Device
from .errors import DeviceError
from .kept import find_configuration
from .steps import Run

CERTIFICATE = "{certificate}"


def confirm(run: Run, certificate: DeviceCertificate) -> None:
    """Say it once for each certificate: one connection, and one signature by the key. Fails never.

    Args:
        certificate: the one in use.
    """
    state, identifier = run.state, certificate.certificate_id
    if state.confirmed() == identifier or state.hooks_are_pending():
        return
    configuration = find_configuration(state)
    if configuration is None or configuration.confirm_topic is None:
        return
    topic = configuration.confirm_topic.replace(CERTIFICATE, identifier)
    device = Device(run.settings, configuration.as_set(run.settings), certificate, run.key, run.network)
    try:
        with run.report.step("confirm") as step:
            publisher = device.https()
            publisher.publish(topic, _word(run.settings.name))
            state.keep_confirmed(identifier)
            step.done = "the cloud may switch the certificate before this one off"
    except DeviceError as failure:
        run.report.note(f"not confirmed yet that this certificate works; the next run says it. {failure.cause}")


def _word(name: str) -> bytes:
    import json

    return json.dumps({"device": name}).encode()
