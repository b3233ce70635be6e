"""Clients of AWS's services: boto3's, made by the session of botocore that boto3's own wraps.

boto3 itself adds what is not used here, resources and transfers to S3, and to import that is a fifth of a cold start.
The bundle knows only those operations whose names the functions' code has: ``infra/service_models.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.session import Session

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_kms import KMSClient


class Clients:
    """Makes clients of one session, with the Region and the credentials that Lambda's environment has."""

    def __init__(self) -> None:
        self._session = Session()

    def dynamodb(self, config: Config | None = None) -> DynamoDBClient:
        return cast("DynamoDBClient", self._session.create_client("dynamodb", config=config))

    def iot(self, config: Config | None = None) -> IoTClient:
        return cast("IoTClient", self._session.create_client("iot", config=config))

    def kms(self, config: Config | None = None) -> KMSClient:
        return cast("KMSClient", self._session.create_client("kms", config=config))
