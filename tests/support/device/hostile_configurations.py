"""Documents for GET /configuration that a device must not take, by name."""

import json
from typing import Any

from tests.support.device.hostile_replies import TERMINAL
from tests.support.device.victim import DEEP

CONFIGURATION = {
    "fleet": "loopback",
    "issuer": "kms",
    "dataEndpoint": "localhost",
    "httpsPort": 1,
    "mqttPort": 8883,
    "topics": {"publish": ["devices/{device}/*"], "subscribe": ["devices/{device}/*"]},
}


def changed(**changes: Any) -> bytes:
    return json.dumps(CONFIGURATION | changes).encode()


def topics(publish: Any) -> bytes:
    return changed(topics={"publish": publish, "subscribe": ["x"]})


CONFIGURATIONS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "a number": b"7",
    "null": b"null",
    "text": b'"fleet"',
    "no UTF-8": b'{"fleet": "\xff\xfe"}',
    "UTF-16": changed().decode().encode("utf-16"),
    "deep": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "a deep fleet": changed(fleet=1)[:-1] + b', "fleet": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "10 MB": changed(fleet="x" * (10 << 20)),
    "900 kB": changed(fleet="x" * 900_000),
    "900 kB of what is no text": changed(fleet=["x" * 900_000]),
    "a long number": changed(httpsPort=0).replace(b'"httpsPort": 0', b'"httpsPort": ' + b"9" * 9000),
    "NaN": changed(httpsPort=float("nan")),
    "infinity": changed(httpsPort=float("inf")),
    "1e999": changed(httpsPort=0).replace(b'"httpsPort": 0', b'"httpsPort": 1e999'),
    "credentials from nobody": changed(credentials={"roleAlias": "zymkey-device"}),
    "credentials of nothing": changed(credentials={"endpoint": "x.example"}),
    "credentials that are a list": changed(credentials=["x.example", "zymkey-device"]),
    "credentials from no host": changed(credentials={"endpoint": "x.example/a", "roleAlias": "zymkey-device"}),
    "a role alias that climbs": changed(credentials={"endpoint": "x.example", "roleAlias": "../../x"}),
    "a terminal's role alias": changed(credentials={"endpoint": "x.example", "roleAlias": TERMINAL}),
    "port 0": changed(httpsPort=0),
    "a negative port": changed(httpsPort=-1),
    "a port out of range": changed(httpsPort=65536),
    "a port in letters": changed(httpsPort="https"),
    "a port in text": changed(httpsPort="\uff18\uff14"),
    "a port that is a truth": changed(httpsPort=True),
    "an MQTT port out of range": changed(mqttPort=10**10),
    "a port that is a list": changed(httpsPort=[8443]),
    "surrogates": changed(fleet="\ud800\udfff\ud83d"),
    "surrogates for an endpoint": changed(dataEndpoint="\ud800.example"),
    "a terminal's fleet": changed(fleet=TERMINAL),
    "a terminal's endpoint": changed(dataEndpoint=TERMINAL),
    "a terminal's topic": topics([TERMINAL]),
    "a fleet that climbs": changed(fleet="../../../etc/passwd"),
    "an empty fleet": changed(fleet=""),
    "no topics": changed(topics=None),
    "topics that are text": changed(topics="devices/#"),
    "topics in one text": topics("devices"),
    "topics in an object": topics({"devices/{device}": 1}),
    "a topic that is a number": topics([1]),
    "a topic for all": topics(["#"]),
    "a topic for many": topics(["devices/+/x"]),
    "a topic in the middle": topics(["a/#/b"]),
    "a topic with a zero": topics(["devices/\x00"]),
    "a topic that climbs": topics(["../../things/x/shadow"]),
    "a topic with a query": topics(["devices/x?qos=0&x=\r\nX: y"]),
    "a topic without an end": topics(["devices/" + "x" * 70_000]),
    "a topic of surrogates": topics(["devices/\ud800"]),
    "a reserved topic": topics(["$aws/things/x/shadow/update"]),
    **{
        f"the endpoint {endpoint}": changed(dataEndpoint=endpoint)
        for endpoint in (
            *("https://localhost", "localhost:8443", "localhost/x", "localhost\n", "local\r\nHost: x", "a b"),
            *("evil.invalid", "user:pw@localhost", "localhost?x", "localhost#x", "*.example", ".", "..", "-"),
            *("a..b", "x" * 64 + ".example", "x." * 200, "[::1", "::1]", "[", "%00", "localhost\x00", "\x7f"),
            *(
                "127.1",
                "0",
                "169.254.169.254",
                "169.254.169.254:80",
                "\u2100.example",
                "xn--\u00fc",
                "\u0661\u0662",
                "/etc/passwd",
            ),
            *("arn:aws:iot:eu-central-1:1:cert/x", "file:///etc/passwd", "$(reboot)", "`reboot`", "--help", "${x}"),
        )
    },
}
