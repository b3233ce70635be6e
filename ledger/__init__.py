"""The only memory of a deployment: which device has which key, who may enroll, which certificates were issued.

``records``   what is remembered, as plain values.
``errors``    why a change was refused.
``dynamodb``  the few calls to DynamoDB that a conditional write is made of.
``thing``     the mark of a fleet's things, and what one device's thing has of its own.
``ledger``    every item's shape and every condition. Start there.

Shared by what runs in AWS (``functions``) and by the operator's command (``fleet``); it knows neither.
"""

from ledger.errors import (
    Blocked,
    Busy,
    KeyTaken,
    LeaseLost,
    LedgerError,
    NotInvited,
    RequestsFull,
    TokenExpired,
    TokenSpent,
    WrongState,
)
from ledger.ledger import Ledger
from ledger.records import (
    LISTED_ATTRIBUTES,
    Certificate,
    CertificateAuthority,
    CertificateState,
    Device,
    Event,
    Request,
    State,
)
from ledger.thing import THING_MARK, ThingProfile

__all__ = [
    "LISTED_ATTRIBUTES",
    "THING_MARK",
    "Blocked",
    "Busy",
    "Certificate",
    "CertificateAuthority",
    "CertificateState",
    "Device",
    "Event",
    "KeyTaken",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "NotInvited",
    "Request",
    "RequestsFull",
    "State",
    "ThingProfile",
    "TokenExpired",
    "TokenSpent",
    "WrongState",
]
