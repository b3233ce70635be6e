"""What an auditor reads months later: who did what to a device, when, and with which key or certificate."""

from tests.support.ledger import KEY, NOW, begin, certificate, claim, enroll, invite


def told(ledger, name="pi-1"):
    return [(each.at - NOW, each.what, each.by, each.detail) for each in ledger.history(name)]


def test_a_device_with_a_token_from_its_invitation_to_its_removal(ledger):
    invite(ledger)
    claim(ledger, now=NOW + 1)
    first, second = certificate(1, not_before=NOW), certificate(2, not_before=NOW + 2000)
    ledger.record_certificate(first, lease="mine", now=NOW + 2)
    ledger.make_current(first, lease="mine", now=NOW + 3)
    begin(ledger, now=NOW + 2000)
    ledger.record_certificate(second, lease="mine", now=NOW + 2001)
    ledger.make_current(second, lease="mine", now=NOW + 2002)
    ledger.deactivated("pi-1", first.certificate_id, by="sweep", now=NOW + 2003)
    ledger.block("pi-1", by="bob", now=NOW + 2004)
    ledger.deactivated("pi-1", second.certificate_id, by="bob", now=NOW + 2005)
    ledger.unblock("pi-1", by="carol", now=NOW + 2006)
    ledger.reactivated("pi-1", second.certificate_id, by="carol", now=NOW + 2007)
    ledger.block("pi-1", by="dave", now=NOW + 2008)
    ledger.deactivated("pi-1", second.certificate_id, by="dave", now=NOW + 2009)
    ledger.remove("pi-1", by="erin", now=NOW + 2010)
    assert told(ledger) == [
        (0, "invited", "alice", f"until {NOW + 60}"),
        (1, "claimed", "device", KEY),
        (2, "certificate signed", "enrollment", first.certificate_id),
        (3, "enrolled", "enrollment", first.certificate_id),
        (2001, "certificate signed", "enrollment", second.certificate_id),
        (2002, "renewed", "enrollment", second.certificate_id),
        (2003, "certificate deactivated", "sweep", first.certificate_id),
        (2004, "blocked", "bob", ""),
        (2005, "certificate deactivated", "bob", second.certificate_id),
        (2006, "unblocked", "carol", ""),
        (2007, "certificate reactivated", "carol", second.certificate_id),
        (2008, "blocked", "dave", ""),
        (2009, "certificate deactivated", "dave", second.certificate_id),
        (2010, "removed", "erin", KEY),
    ]


def test_a_key_that_was_approved_and_whose_csr_waited(ledger):
    ledger.hold_for_approval(fingerprint=KEY, suggested_name="pi", now=NOW)
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW + 1, approved=True)
    begin(ledger, now=NOW + 2)
    ledger.queue_csr("pi-1", csr="CSR", lease="mine", now=NOW + 3)
    issued = certificate()
    begin(ledger, now=NOW + 4)
    ledger.record_certificate(issued, lease="mine", now=NOW + 5)
    ledger.abandon(issued, lease="mine", now=NOW + 6)
    assert told(ledger) == [
        (1, "approved", "alice", KEY),
        (3, "waits for a signature", "device", ""),
        (5, "certificate signed", "enrollment", issued.certificate_id),
        (6, "certificate abandoned", "enrollment", issued.certificate_id),
    ]


def test_a_key_that_was_allowed_leaves_the_operator_who_allowed_it(ledger):
    ledger.allow("pi-1", fingerprint=KEY, by="alice", now=NOW)
    enroll(ledger, now=NOW + 1)
    assert told(ledger)[0] == (0, "allowed", "alice", KEY)
