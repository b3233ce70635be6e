"""``python -m sandbox.data_endpoint``: serve until ended. The sandbox starts it; AWS_* name the emulator."""

import logging

import boto3

from ..addresses import Addresses
from ..certificates import ServerCertificates
from .credentials import CredentialProvider
from .publishing import Publisher
from .registration import SWITCH, JustInTimeRegistration
from .registry import Registry
from .server import DataEndpoint, tls_context

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
logging.getLogger("botocore").setLevel(logging.WARNING)

addresses = Addresses.from_environment()
certificates = ServerCertificates.in_directory(addresses.directory)
iot, iam, broker = boto3.client("iot"), boto3.client("iam"), boto3.client("iot-data")
registry = Registry(iot)
DataEndpoint(
    port=addresses.https_port,
    context=tls_context(str(certificates.chain), str(certificates.key)),
    registry=registry,
    publisher=Publisher(registry, broker),
    registration=JustInTimeRegistration(iot, iam, broker, switch=addresses.directory / SWITCH),
    credentials=CredentialProvider(registry, iot, iam, boto3.client("sts")),
).serve_forever()
