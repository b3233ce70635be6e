"""Who may enroll: a key that the ledger knows, or the first key that shows a device's one-time token."""

from dataclasses import dataclass

from functions.deployment import Deployment
from functions.refusals import BadRequest, Forbidden, NotYet, Unauthorized
from functions.request import Credentials
from ledger import Blocked, Device, State
from pki.names import DEVICE_NAME_RULE, is_device_name

APPROVAL_RETRY_SECONDS = 30
# No device can have this name (``pki.names``).
NOBODY = "."


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """A key that the ledger knows, and the device that has it."""

    device: Device

    @property
    def name(self) -> str:
        return self.device.name


@dataclass(frozen=True, kw_only=True)
class TokenClaim:
    """An unknown key that shows a device's token. The ledger judges it, in the one write that binds the two."""

    device: Device
    token_hash: str

    @property
    def name(self) -> str:
        return self.device.name


def authorize(
    fingerprint: str,
    common_name: str,
    credentials: Credentials | None,
    *,
    source: str,
    now: int,
    deployment: Deployment,
) -> KnownKey | TokenClaim:
    """What is known of the key that asks.

    A known key needs no token: the CSR's signature has proved who asks, and its token is spent. So a retry may show
    the spent token, or none.

    Args:
        common_name: what the CSR calls the device; may be empty.
        source: where the request came from (``HttpRequest.source``).

    Raises:
        BadRequest: the CSR names another device, or the name could not be a device's.
        Unauthorized: an unknown key without a token.
        NotInvited, TokenExpired, TokenSpent: an unknown key with a token that is not the device's. All of these cost
            the same two reads, and none of them a write.
        Forbidden: the key belongs to a device with another name.
        Blocked: the operator has blocked the device or rejected the key.
        NotYet: the key waits for the operator's approval.
    """
    ledger = deployment.ledger
    device = ledger.device_of_key(fingerprint)
    if device is not None:
        if credentials is not None and credentials.name != device.name:
            raise Forbidden("This key already belongs to a device with another name.")
        _check_common_name(common_name, device.name)
        if device.state is State.BLOCKED:
            raise Blocked(f"Device {device.name!r} is blocked.")
        return KnownKey(device=device)
    if credentials is not None:
        if not is_device_name(credentials.name):
            raise BadRequest(f"The user name must be the device's name: {DEVICE_NAME_RULE}.")
        _check_common_name(common_name, credentials.name)
        token_hash = credentials.token_hash
        device = ledger.check_token(credentials.name, fingerprint=fingerprint, token_hash=token_hash, now=now)
        return TokenClaim(device=device, token_hash=token_hash)
    if deployment.choices.uninvited == "approve":
        ledger.hold_for_approval(fingerprint=fingerprint, suggested_name=common_name[:64], source=source, now=now)
        raise NotYet(
            f"The key {fingerprint} waits for the operator's approval: zymkey-fleet approve {fingerprint} --name NAME",
            retry_after=APPROVAL_RETRY_SECONDS,
        )
    ledger.device(NOBODY)  # so that the time of an answer does not tell why it is no
    raise Unauthorized("an unknown key without a token")


def _check_common_name(common_name: str, device: str) -> None:
    if common_name not in ("", device):
        raise BadRequest(f"The CSR's common name is {common_name!r}, but the device's name is {device!r}.")
