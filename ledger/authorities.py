"""CAs that were made in KMS."""

from __future__ import annotations

from contextlib import suppress

from ledger.changes import Changes
from ledger.dynamodb import ConditionFailed
from ledger.errors import Busy
from ledger.items import authority_key, fields_of, read
from ledger.records import CertificateAuthority


class Authorities(Changes):
    """Each CA is made once and never changed."""

    def certificate_authority(self, key_arn: str) -> CertificateAuthority | None:
        item = self._table.get(*authority_key(key_arn))
        return read(CertificateAuthority, item) if item else None

    def certificate_authorities(self) -> list[CertificateAuthority]:
        """All CAs that were ever made in KMS, in no order."""
        arns = (item["pk"].partition("#")[2] for item in self._table.listing("certificate-authority"))
        return [authority for arn in arns if (authority := self.certificate_authority(arn)) is not None]

    def keep_certificate_authority(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Keep a new CA, unless its key has one: the first one stays. Returns the one that is kept."""
        pk, sk = authority_key(authority.key_arn)
        item = {"pk": pk, "sk": sk, "listing": "certificate-authority"} | fields_of(authority)
        try:
            self._table.write(self._table.put(item, condition="attribute_not_exists(#pk)"))
        except ConditionFailed:
            kept = self.certificate_authority(authority.key_arn)
            if kept is None:
                raise Busy(1) from None
            return kept
        return authority

    def write_no_certificate_authority(self, key_arn: str) -> None:
        """Ask for a write to a CA's item under a condition that cannot hold: AWS says whether the caller may."""
        impossible = "attribute_exists(#pk) AND attribute_not_exists(#pk)"
        with suppress(ConditionFailed):
            self._table.write(self._table.delete(*authority_key(key_arn), condition=impossible))
