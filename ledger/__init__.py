"""The only memory of a deployment: which device has which key, who may enroll, which certificates were issued.

``ledger``        the whole of it, and the tables of items and of states. Start there.
``operators``     an operator lets devices in, and keeps them out.
``replacement``   another key takes over a device's name, and the one before is blocked.
``removal``       an operator removes devices.
``waiting_keys``  keys without an invitation wait for a decision.
``enrollment``    a key claims its device, and works for it under a lease.
``issuance``      under the lease a certificate is recorded, and becomes the device's own; how many a day.
``turns``         when each device may be registered, when many want to be at once.
``signatures``    how many device certificates a CA in KMS has signed.
``certificates``  certificates that AWS IoT accepts no longer, or again.
``erasure``       devices that were made to be thrown away are forgotten.
``authorities``   CAs that were made in KMS.
``reading``       what is read.
``listing``       which devices of the index are meant.
``copying``       the whole of it, out of one table and into another.
``survey``        the whole of it, read once.
``audits``        what the daily audit has found.
``merging``       sources that are read side by side.
``changes``       what those changes share.
``items``         every item's keys and shape.
``records``       what is remembered, as plain values.
``thing``         the mark of a fleet's things, and what one device's thing has of its own.
``errors``        why a change was refused.
``dynamodb``      the few calls to DynamoDB that a conditional write is made of.

Shared by what runs in AWS (``functions``) and by the operator's command (``fleet``); it knows neither.
"""

from ledger.audits import AuditRecord
from ledger.errors import (
    Blocked,
    Busy,
    DailyLimitReached,
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
from ledger.listing import INVITED_EXPIRED, DeviceFilter, shown_state
from ledger.records import (
    DAY,
    IN_USE,
    LISTED_ATTRIBUTES,
    Certificate,
    CertificateAuthority,
    CertificateState,
    Device,
    Event,
    KeyOwner,
    Request,
    State,
)
from ledger.signatures import SignatureCount
from ledger.survey import SurveyedCertificate, SurveyedDevice
from ledger.thing import THING_MARK, ThingProfile
from ledger.turns import Turns

__all__ = [
    "DAY",
    "INVITED_EXPIRED",
    "IN_USE",
    "LISTED_ATTRIBUTES",
    "THING_MARK",
    "AuditRecord",
    "Blocked",
    "Busy",
    "Certificate",
    "CertificateAuthority",
    "CertificateState",
    "DailyLimitReached",
    "Device",
    "DeviceFilter",
    "Event",
    "KeyOwner",
    "KeyTaken",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "NotInvited",
    "Request",
    "RequestsFull",
    "SignatureCount",
    "State",
    "SurveyedCertificate",
    "SurveyedDevice",
    "ThingProfile",
    "TokenExpired",
    "TokenSpent",
    "Turns",
    "WrongState",
    "shown_state",
]
