"""What AWS IoT takes as a message, checked before the key signs: it answers a wrong topic by closing the connection.

https://docs.aws.amazon.com/general/latest/gr/iot-core.html (message broker limits)
"""

from .errors import UsageError

LARGEST_MESSAGE = 128 * 1024
LONGEST_TOPIC = 256
MOST_SLASHES = 7
_RULES = "$aws/rules/"


def check_message(topic: str, payload: bytes) -> None:
    """Check topic and size.

    Raises:
        UsageError: AWS IoT never takes it.
    """
    wrong = _wrong_topic(topic)
    if wrong:
        raise UsageError(
            f"the topic {topic!r} cannot be published to: {wrong}.",
            cure="a topic such as 'devices/{device}/temperature'; configuration.json lists what this fleet allows",
        )
    if len(payload) > LARGEST_MESSAGE:
        raise UsageError(
            f"the message has more than {LARGEST_MESSAGE} bytes (128 KB), the most that AWS IoT takes.",
            cure="send it in parts, or put it into S3 and publish where it is",
        )


def _wrong_topic(topic: str) -> str:
    if not topic:
        return "it is empty"
    if "+" in topic or "#" in topic:
        return "+ and # are for subscriptions"
    try:
        encoded = topic.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in topic):
        return "it has a control character"
    if topic.startswith("$") and not topic.startswith("$aws/"):
        return "topics that begin with $ are AWS IoT's own; devices may use those below $aws/"
    # Basic Ingest: its first three parts do not count.
    counted = topic.split("/", 3)[-1] if topic.startswith(_RULES) and topic.count("/") >= 3 else topic
    if len(counted.encode()) > LONGEST_TOPIC:
        return f"it has {len(encoded)} bytes, and {LONGEST_TOPIC} are allowed"
    if counted.count("/") > MOST_SLASHES:
        return f"it has {counted.count('/')} slashes, and {MOST_SLASHES} are allowed"
    return ""
