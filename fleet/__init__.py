"""zymkey-fleet: the operator's command. It lets devices in, keeps devices out, and shows what the ledger knows.

``cli``         the command line: the commands, their exit codes.
``commands``    one command a file: its arguments, and what it does.
``audit``       what differs between the ledger and AWS IoT, and its repair.
``smoke_test``  the throw-away device of ``zymkey-fleet verify``.
``deployment``  finds the deployment in the AWS account and opens what a command needs of it.
``failures``    what AWS and the ledger refuse, as causes and cures.

Commands share the package ``ledger`` and the X.509 of ``pki`` with what runs in AWS, and nothing else.
"""
