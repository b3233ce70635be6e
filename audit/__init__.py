"""The ledger and AWS IoT beside each other: where they do not agree, and how what nobody needs leaves AWS IoT.

``judgement``  what is wrong with a certificate, by what both say about it. Pure: the facts are passed in.
``iot``        what AWS IoT says about certificates.
``registry``   all of it, in a few bytes each.
``survey``     reads both, and reads again whatever does not agree.
``deletion``   a certificate that nobody needs any more leaves AWS IoT.

Shared by what runs in AWS (``functions``) and by the operator's command (``fleet``); it knows neither.
"""
