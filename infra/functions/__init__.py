"""What runs in AWS Lambda: thin entries, a pure middle, clients passed in.

Entries (the template names their ``handler``):

``http_api``               the HTTP API: EST, the configuration document, upload of finished certificates
``certificate_authority``  the custom resource that makes a CA in KMS
``first_connection``       just-in-time registration: a factory-signed certificate was seen for the first time

A request flows straight through ``http_api``: ``request`` (decode) → ``enroll`` → ``authorize`` → ``issuers`` →
``registration`` → ledger → ``reply`` (encode). Nothing here imports the CDK.
"""
