"""Publish one message over mutual TLS with the key in the HSM: over HTTPS, or over MQTT with --mqtt.

Write {device} in TOPIC for this device: the command fills in the name or id that the fleet's policy expects.
"""

import argparse

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC", help="the topic to publish to")
    parser.add_argument("message", metavar="MESSAGE", help="the message; - reads it from stdin")
    parser.add_argument("--mqtt", action="store_true", help="publish over MQTT, and receive the message back")
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_json(parser)
    options.add_examples(
        parser,
        """sudo zymkey-iot publish 'devices/{device}/temperature' '{"celsius": 21.5}'""",
        "sudo zymkey-iot publish --mqtt 'devices/{device}/hello' hello",
        "date | sudo zymkey-iot publish 'devices/{device}/log' -",
    )


def run(arguments: argparse.Namespace) -> int:
    import os

    from ..cures import BOOTSTRAP, for_state
    from ..device import open_device
    from ..message import LARGEST_MESSAGE, check_message
    from ..report import Report
    from ..settings import load
    from ..streams import standard_input

    report = Report(as_json=arguments.json)
    device = open_device(load(arguments, warn=report.warn))
    if device.key.warning:
        report.warn(device.key.warning)
    # As it was typed: bytes that are no text in this locale, too.
    payload = standard_input(LARGEST_MESSAGE + 1) if arguments.message == "-" else os.fsencode(arguments.message)
    topic = device.topic(_typed(arguments.topic), mqtt=arguments.mqtt)
    check_message(topic, payload)
    trace = None

    def tell(moved: str) -> None:
        keep = for_state(BOOTSTRAP, arguments.state)
        report.note(f"{moved} Each publish tries the other port first, until a bootstrap keeps this one: {keep}")

    with report.step("publish") as step:
        if arguments.mqtt:
            device.mqtt(tell=tell).run(topic, payload)
            step.done = f"{topic}, {len(payload)} bytes over MQTT, and received back"
        else:
            publisher = device.https(tell=tell)
            trace = publisher.publish(topic, payload)
            step.done = f"{topic}, {len(payload)} bytes over HTTPS ({publisher.how})"
    report.conclude("Published.", topic=topic, traceId=trace, signatures=device.key.signatures)
    return 0


def _typed(topic: str) -> str:
    """Topics are UTF-8, also where this locale is not: Python has then put surrogates in the place of its bytes."""
    import os

    try:
        return topic if topic.isprintable() else os.fsencode(topic).decode()
    except UnicodeError:
        return topic
