"""The X.509 of the fleet: what a device's key is called, which CSRs are good, what a certificate looks like.

Shared by what runs in AWS (``functions``) and by the operator's command (``fleet``). It knows neither of
them, nor the ledger; the one module that talks to AWS is ``kms_key``, and its client is passed in.
"""
