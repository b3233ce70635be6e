"""What a deployment declares, as far as an audit holds AWS IoT against it. The template tells the function and, in a
stack's outputs, the operator's command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DeclaredAuthority:
    """The registration of a CA.

    Attributes:
        key: the ARN of its key in KMS, by which the ledger knows its certificate; "" for a CA elsewhere.
        certificate_id: of a CA elsewhere.
        status: ACTIVE or INACTIVE.
        auto_registration: ENABLE or DISABLE; "" for a registration that was adopted, and is used as it is.
    """

    key: str = ""
    certificate_id: str = ""
    status: str
    auto_registration: str = ""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the templates and the settings say.

    Attributes:
        fleet: its name, which is in the mark of its things; "" where things are not compared.
        policy_digest: of the IoT policy's document (``audit.policy``); "" where it is not known.
        things: the setting ``things``.
    """

    fleet: str = ""
    policy_digest: str = ""
    authorities: tuple[DeclaredAuthority, ...] = ()
    things: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str, *, fleet: str, things: Mapping[str, Any]) -> Declared:
        """From the JSON that the template makes (``infra/daily_audit.py``); "" is a deployment of an earlier release.

        Raises:
            ValueError: it is no such JSON.
        """
        if not text:
            return cls()
        document = json.loads(text)
        return cls(
            fleet=fleet,
            policy_digest=document["policy"],
            authorities=tuple(
                DeclaredAuthority(
                    key=each.get("key", ""),
                    certificate_id=each.get("id", ""),
                    status=each["status"],
                    auto_registration=each.get("autoRegistration", ""),
                )
                for each in document["authorities"]
            ),
            things=things,
        )
