"""Which CA a DescribeCACertificate is about: the emulator does not find it, and would check the action on ``*``.

A deployment makes this call itself (``functions/declared_status.py``), so ``sandbox/permissions.py``, which adapts
roles after a deployment, would come too late.
"""

from pathlib import Path
from typing import Any

SOURCE = Path(__file__)

_PATH = "/cacertificate/"


def install() -> None:
    """Teach the emulator in this process the resource of the call, as the Service Authorization Reference has it."""
    from ministack.core import iam_actions

    found_so_far = iam_actions.iot_resource_arns

    def iot_resource_arns(method: str, path: str, body: bytes, region: str, account: str) -> Any:
        if method == "GET" and path.startswith(_PATH):
            return [f"arn:aws:iot:{region}:{account}:cacert/{path.removeprefix(_PATH)}"]
        return found_so_far(method, path, body, region, account)

    iam_actions.iot_resource_arns = iot_resource_arns
