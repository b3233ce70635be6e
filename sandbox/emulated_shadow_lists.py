"""ListNamedShadowsForThing, which the emulator does not know: put into its process before it starts.

Answer (AWS IoT Data API reference): results, a list of names; timestamp, in seconds since 1970.
"""

import time
from typing import Any
from urllib.parse import unquote

_PATH = "/api/things/shadow/ListNamedShadowsForThing/"


def install() -> None:
    """Teach the emulator in this process to list a thing's named shadows."""
    from ministack.services import iot, iot_data

    others = iot_data.handle_request

    async def handle_request(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        if method != "GET" or not path.startswith(_PATH):
            return await others(method, path, headers, body, query)
        thing = unquote(path.removeprefix(_PATH))
        names = [
            name for (of, name), record in iot._shadows.items() if of == thing and name and not record.get("deleted")
        ]
        return iot.json_response({"results": sorted(names), "timestamp": int(time.time())})

    iot_data.handle_request = handle_request
