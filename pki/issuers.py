"""Who signs a fleet's certificates: the values of the setting ``issuer``, and what the ledger calls Amazon's CA."""

KMS = "kms"  # the fleet's CA, whose key lives in AWS KMS
AMAZON = "aws"  # Amazon's CA; AWS does not publish its certificate, so the ledger knows it by this name alone
EXTERNAL = "external"  # the fleet's CA, whose key lives outside AWS

ISSUERS = (KMS, AMAZON, EXTERNAL)
