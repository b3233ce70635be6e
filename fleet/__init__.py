"""zymkey-fleet: the operator's command. It lets devices in, keeps them out, and shows what the ledger knows.

``cli``         the command line: the commands, their exit codes.
``commands``    one command a file: its arguments, and what it does.
``deployment``  finds the deployment in the AWS account and opens what a command needs of it.
``failures``    what can go wrong, in sentences.

Commands share the ledger's package and the X.509 of ``pki`` with what runs in AWS, and nothing else.
"""
