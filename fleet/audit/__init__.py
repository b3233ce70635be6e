"""``zymkey-fleet audit``: where the ledger and AWS IoT do not agree, and what can be done about it.

``judgement``  what is wrong with a certificate, by what both say about it. Pure: the facts are passed in.
``iot``        what AWS IoT says about certificates.
``registry``   all of it, in a few bytes each.
``survey``     reads both, and reads again whatever does not agree.
``repair``     what ``--fix`` does about a finding.
"""
