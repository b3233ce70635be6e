"""Imported where processes are forked from: the AWS SDK's models of services are read once, and not by each of them.

They are megabytes of JSON, which every session of botocore reads for itself. Nothing else of the SDK is changed.
"""

import botocore.session
from botocore.loaders import Loader, create_loader

SERVICES = ("cloudformation", "dynamodb", "iot", "kms", "sts")

_loader = create_loader()


def _the_loader(*_: object) -> Loader:
    return _loader


botocore.session.create_loader = _the_loader  # type: ignore[assignment]

for _service in SERVICES:
    # Whatever a client of the service reads; it calls nothing. The credentials are nobody's.
    botocore.session.Session().create_client(
        _service, region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="nothing"
    )
