"""``zymkey-fleet ca``: the CA of the fleet, where it is your own."""

COMMANDS = {
    "create": "make an example CA, for trying things out",
    "verification-csr": "print what a CA must sign before AWS IoT takes it",
    "check": "check a CA certificate, and its verification certificate, before they are deployed",
    "retire": "stop AWS IoT from registering certificates of an older CA",
}
