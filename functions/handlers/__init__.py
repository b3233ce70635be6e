"""The entries that AWS Lambda calls: each decodes its event, calls one function, and encodes the answer.

``http_api``               the HTTP API: EST, the configuration document, upload of finished certificates
``certificate_authority``  the custom resource that makes a CA in KMS
``adopted_policy``         the custom resource that keeps an adopted IoT policy
``declared_status``        the custom resource that refuses to make a retired CA active again
``first_connection``       just-in-time registration: AWS IoT saw a certificate of the fleet's CA for the first time
``seen``                   a new certificate is in use: those from before the renewal are switched off
``superseded``             the hourly sweep: certificates from before a renewal are switched off
``audit``                  the daily audit: where the ledger and AWS IoT do not agree; what nobody needs is deleted
"""
