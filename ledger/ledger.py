"""The ledger: every item and every state, in one place. The conditions are beside it, a file for each kind of change.

One table, keys ``pk`` and ``sk`` (text). Times are whole seconds since 1970.

====================  =================  ==================================================================
pk                    sk                 what
====================  =================  ==================================================================
device#NAME           device             the device (``records.Device``); also in the index ``listing``
device#NAME           certificate#ID     each certificate that was ever issued to it; outlives the device
device#NAME           event#TIME         its history; outlives the device
key#FINGERPRINT       key                which device has this key: what makes keys unique; or had it, with the time
                                         from which another key had its place (``records.KeyOwner``)
requests              FINGERPRINT        a key without an invitation, waiting for approval; expires
certificate-          certificate-       a CA made in KMS, made once and never changed; also in the index ``listing``
authority#KEY-ARN     authority
signatures#CA-ID      signatures         how many certificates a CA in KMS was asked to sign (``ledger.signatures``)
signatures#CA-ID      erased             how many certificates of a CA were forgotten on purpose (``ledger.erasure``)
requests-counted      requests-counted   how many keys have ever asked: what keeps those apart that ask together
restore               restore            which backup is being restored; until that is done (``ledger.copying``)
turns                 turns              the moment of the next free turn (``ledger.turns``), in microseconds
audit                 last               the last run of the daily audit (``ledger.audits``)
audit                 findings#RUN#NUM   what a run has found, some hundreds an item; expires
====================  =================  ==================================================================

A device's states, and what leads from one to the other:

========  ======================  =========  ===================================================================
from      by                      to         condition
========  ======================  =========  ===================================================================
(none)    invite, allow, approve  invited    the name is free; the key, where there is one, is free
invited   invite, allow, approve  invited    it has no key yet: a new token, or the key, takes the old token's place
invited   claim                   pending    the token is the current one and has not expired; the key is free
invited   acquire_lease           pending    the key is the one that was allowed
pending   acquire_lease           pending    no other request of this key is at work
enrolled  acquire_lease           enrolled   the same: a renewal, during which the old certificate stays current
pending   make_current            enrolled   the request still holds its lease
enrolled  make_current            enrolled   the same; the old certificate is superseded
enrolled  ask_for_renewal         enrolled   its next request is a renewal, due or not; make_current forgets it
any       block                   blocked    it is not blocked
blocked   unblock                 as before
any       replace                 invited    it has, or had, a key: that one is blocked from then on; a new token, or
                                             another key, takes its place; its certificates are out of use
invited   remove                  (none)
blocked   remove                  (none)     its certificates are all out of use
========  ======================  =========  ===================================================================

A replaced key gets nothing any more, and no token and no approval lets it in: only ``allow`` and ``replace``, which
name it. Its device keeps its thing, and is never forgotten because an invitation has expired.

Every other pair is refused with an error of ``ledger.errors``. A request works under a *lease*: a random id and a
time, so that of two simultaneous requests for one key one works, and a crashed one is taken over when its time is
up. Conditions are checked by DynamoDB, never by reading first; what is read after a refusal only explains it.
"""

from ledger.audits import Audits
from ledger.authorities import Authorities
from ledger.certificates import Certificates
from ledger.copying import Copying
from ledger.erasure import Erasure
from ledger.issuance import Issuance
from ledger.operators import Operators
from ledger.removal import Removal
from ledger.replacement import Replacement
from ledger.survey import Surveying
from ledger.turns import TurnCounter
from ledger.waiting_keys import WaitingKeys


class Ledger(
    Operators,
    Replacement,
    Removal,
    WaitingKeys,
    Issuance,
    TurnCounter,
    Certificates,
    Erasure,
    Authorities,
    Surveying,
    Audits,
    Copying,
):
    """The ledger of one deployment.

    Every method that writes either does all it says, or raises a ``LedgerError`` and does nothing. Any method may
    also raise ``botocore.exceptions.ClientError`` or ``BotoCoreError`` when AWS does not answer or refuses.
    """
