"""``zymkey-fleet ca``: a CA of your own, whose key is outside AWS or in AWS KMS."""

COMMANDS = {
    "create": "create an example CA, to try things out",
    "verification-csr": "print the CSR that a CA must sign before AWS IoT registers the CA",
    "check": "check a CA certificate, and its verification certificate, before you deploy them",
    "rotate": "show how far the rotation of a CA is, and what to do next",
    "retire": "stop AWS IoT from registering certificates of an older CA",
}
