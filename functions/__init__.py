"""What runs in AWS Lambda: thin entries, a pure middle, clients passed in.

``handlers/``  the four entries, one a file (the template names their ``handler``)
``issuers/``   who signs, one a file, behind one interface

A request flows straight through: ``handlers/http_api`` → ``request`` (decode) → ``enroll`` → ``authorize`` →
``issuers`` → ``registration`` → ledger → ``reply`` (encode). Nothing here imports the CDK.
"""
