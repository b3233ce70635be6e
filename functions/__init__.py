"""What runs in AWS Lambda: thin entries, a pure middle, clients passed in.

``handlers/``  the four entries, one a file (the template names their ``handler``)
``issuers/``   who signs, one a file, behind one interface

A request flows straight through: ``handlers/http_api`` → ``request`` (decode) → ``enroll`` → ``authorize`` →
``issuers`` → ``registration`` → ledger → ``reply`` (encode). Nothing here imports the CDK.
"""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # What is imported stays, and the garbage collector would go through all of it again and again: a tenth of a cold
    # start. A start makes 70,000 objects; after it, ``Deployment.connect`` sets them aside.
    gc.set_threshold(100_000)
