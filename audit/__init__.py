"""The ledger and AWS IoT beside each other: where they do not agree, and how what nobody needs leaves AWS IoT.

``examination``  all that an audit looks at. Start there.
``declared``     what the deployment declares.
``judgement``    the kinds of findings; what is wrong with a certificate. Pure: the facts are passed in.
``survey``       reads both, and reads again whatever does not agree.
``iot``          what AWS IoT says about certificates.
``registry``     all of it, in a few bytes each.
``things``       whether each device has its thing.
``policy``       whether the IoT policy is the declared one.
``authorities``  whether the CAs are; signatures and certificates of each.
``deletion``     a certificate that nobody needs any more leaves AWS IoT.

Shared by what runs in AWS (``functions``) and by the operator's command (``fleet``); it knows neither.
"""
