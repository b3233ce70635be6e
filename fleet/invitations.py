"""Invitations: a one-time token for each device, new, or the one that its card has."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fleet.cards import Card, Cards, token_of
from fleet.cures import if_name_is_taken, positional
from fleet.deployment import Deployment
from fleet.device_list import ListedDevice
from fleet.failures import explained
from fleet.output import iso
from ledger import Device, Ledger, State
from ledger.token import new_token, token_hash


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A token that lets its device in until ``expires``, in seconds since 1970."""

    token: str = field(repr=False)
    expires: int


@dataclass(frozen=True, kw_only=True)
class OnCard:
    """What became of the invitation of a device that has a card."""

    state: State
    expires: int | None = None  # None when its token is spent
    is_new: bool = False


class Invitations:
    """Invites devices, by several threads at a time.

    Args:
        lasts: seconds for which a new token works.
    """

    def __init__(self, deployment: Deployment, *, lasts: int) -> None:
        self._url = deployment.url
        self._ledger: Ledger = deployment.ledger  # clients are made here, since threads cannot
        self._operator = deployment.operator
        self._lasts = lasts

    def new(self, device: ListedDevice) -> Invitation:
        """Invite a device with a new token.

        Raises:
            Refused: it has a key already.
        """
        invitation = Invitation(token=new_token(), expires=int(time.time()) + self._lasts)
        self._let_in(device, invitation)
        return invitation

    def on_card(self, device: ListedDevice, cards: Cards) -> OnCard:
        """Invite a device by its card. A card whose token still works keeps it, so that this can be repeated.

        The card is written after the invitation: there is none that the ledger does not know, whatever comes between.

        Raises:
            Refused: it has a key already, and not by this card; or the card cannot be written.
        """
        text = cards.read(device.name)
        token = token_of(text)
        known = self._ledger.device_of_token(device.name, token_hash(token)) if token else None
        if known and known.fingerprint:
            return OnCard(state=known.state)
        kept = _kept(known, token)
        if kept is None:
            invitation = self.new(device)
        else:
            invitation = kept
            if known and device.profile not in (None, known.profile):
                self._let_in(device, kept)
        card = Card(url=self._url, name=device.name, token=invitation.token, expires=iso(invitation.expires))
        if card.text != text:
            cards.write(card)
        return OnCard(state=State.INVITED, expires=invitation.expires, is_new=kept is None)

    def _let_in(self, device: ListedDevice, invitation: Invitation) -> None:
        name, ledger = device.name, self._ledger
        with explained(if_refused=lambda: if_name_is_taken(name, ledger, then=f"invite {positional(name)}")):
            ledger.invite(
                name,
                token_hash=token_hash(invitation.token),
                token_expires=invitation.expires,
                by=self._operator,
                now=int(time.time()),
                profile=device.profile,
            )


def _kept(known: Device | None, token: str | None) -> Invitation | None:
    """What a card has, if it still lets its device in."""
    if token and known and known.state is State.INVITED and known.token_expires and known.token_expires > time.time():
        return Invitation(token=token, expires=known.token_expires)
    return None
