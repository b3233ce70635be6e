"""Who signs: the three ways from a CSR to a certificate that AWS IoT takes. A deployment's settings choose one.

``issuer``         the interface that all three share
``kms``            the fleet's CA, whose key lives in AWS KMS
``amazon``         Amazon's CA
``external``       the fleet's CA, whose key lives outside AWS
``own_authority``  what ``kms`` and ``external`` share: certificates of a CA that this deployment has registered
"""

from functions.deployment import Deployment
from functions.issuers.amazon import AmazonIssuer
from functions.issuers.external import ExternalIssuer
from functions.issuers.issuer import Issuer
from functions.issuers.kms import KmsIssuer
from pki import issuers

__all__ = ["Issuer", "issuer_of"]

_ISSUERS: dict[str, type[KmsIssuer] | type[AmazonIssuer] | type[ExternalIssuer]] = {
    issuers.KMS: KmsIssuer,
    issuers.AMAZON: AmazonIssuer,
    issuers.EXTERNAL: ExternalIssuer,
}


def issuer_of(deployment: Deployment) -> Issuer:
    """The issuer that the deployment's settings choose."""
    return _ISSUERS[deployment.choices.issuer](deployment)
