"""Pages of AWS IoT's lists, which the emulator answers whole: put into its process before it starts.

AWS IoT returns at most 250 certificates, or targets of a policy, at once (API reference, ListCertificates and
ListTargetsForPolicy). A command that does not read on would pass every test here with the rest unread.
"""

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

_MOST = 250


def install() -> None:
    """Teach the emulator in this process to answer both lists in pages."""
    from ministack.services import iot

    def list_certificates(query: dict[str, Any]) -> Any:
        # Of one account and Region: the sandbox has no other, and to look at each takes seconds with ten thousand.
        page, marker = _page(list(iot._certificates._data.values()), query)
        members = ("certificateArn", "certificateId", "status", "creationDate")
        return iot.json_response(
            {"certificates": [{each: record.get(each) for each in members} for record in page]} | marker
        )

    list_targets = iot._list_targets_for_policy

    def list_targets_for_policy(path: str, query: dict[str, Any]) -> Any:
        policy = iot._policies.get(unquote(path).rpartition("/")[2])
        if policy is None:
            return list_targets(path, query)  # its error
        page, marker = _page(policy.get("targets", []), query)
        return iot.json_response({"targets": list(page)} | marker)

    iot._list_certificates = list_certificates
    iot._list_targets_for_policy = list_targets_for_policy


def _page(everything: Sequence[Any], query: dict[str, Any]) -> tuple[Sequence[Any], dict[str, str]]:
    """What the query asks for, and the marker of the next page: a position, which AWS makes as opaque as this."""
    start = int(base64.b64decode(_text(query.get("marker")) or "MA=="))
    end = start + min(int(_text(query.get("pageSize")) or _MOST), _MOST)
    more = {"nextMarker": base64.b64encode(str(end).encode()).decode()} if end < len(everything) else {}
    return everything[start:end], more


def _text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value or "")
