"""AWS IoT Greengrass with a PKCS#11 key. Written from its documentation; never tried with Greengrass itself.

https://docs.aws.amazon.com/greengrass/v2/developerguide/hardware-security.html and, for nucleus lite from 2.5.0 on,
https://github.com/aws-greengrass/aws-greengrass-lite/blob/main/docs/PKCS11_SUPPORT.md
"""

import shlex

from .pkcs11_object import Pkcs11Object, pkcs11_object
from .setup import Setup

ALIAS, CREDENTIALS = "YOUR-ROLE-ALIAS", "YOUR-CREDENTIALS-ENDPOINT"


def render(setup: Setup) -> str:
    """A configuration file in YAML.

    Raises:
        UsageError: the key is not on a PKCS#11 token.
    """
    key = pkcs11_object(setup, client="Greengrass")
    return f"""\
# config.yaml for the Greengrass nucleus, with the plug-in aws.greengrass.crypto.Pkcs11Provider. Written from AWS's
# documentation, and never tried. Replace what is in CAPITALS: the role alias, the credentials endpoint
# (aws iot describe-endpoint --endpoint-type iot:CredentialProvider), and the PIN, which must be in this file (0600).
#
# The nucleus reads the certificate from the token, under the key's label and id. Write it there now, and after each
# renewal, with the same line as a hook in /etc/zymkey-iot/on-renew.d (--pin env:PIN takes the PIN from a variable):
#   {_write_certificate(setup, key)}
system:
  certificateFilePath: "pkcs11:object={key.label};type=cert"
  privateKeyPath: "pkcs11:object={key.label};type=private"
  rootCaPath: "{setup.roots}"
  rootpath: "/greengrass/v2"
  thingName: "{setup.name}"
services:
  aws.greengrass.Nucleus:
    configuration:
      awsRegion: "{region_of(setup.endpoint)}"
      iotRoleAlias: "{ALIAS}"
      iotDataEndpoint: "{setup.endpoint}"
      iotCredEndpoint: "{CREDENTIALS}"
  aws.greengrass.crypto.Pkcs11Provider:
    configuration:
      name: "{key.token}"
      library: "{key.module}"
      slot: {key.slot}
      userPin: "THE-PIN"

# Greengrass nucleus lite (2.5.0 or later) has no plug-in: it uses OpenSSL 3's provider pkcs11 (apt: pkcs11-provider,
# set up in /etc/ssl/openssl.cnf with pkcs11-module-path = {key.module}), and reads the certificate from its file:
#   system:
#     privateKeyPath: "pkcs11:token={key.token};object={key.label};type=private"
#     certificateFilePath: "{setup.certificate}"
#     rootCaPath: "{setup.roots}"
#     thingName: "{setup.name}"
"""


def _write_certificate(setup: Setup, key: Pkcs11Object) -> str:
    convert = ["openssl", "x509", "-in", str(setup.certificate), "-outform", "DER"]
    store = ["pkcs11-tool", "--module", key.module, "--token-label", key.token, "--login"]
    store += ["--write-object", "/dev/stdin", "--type", "cert", "--label", key.label, "--id", key.identifier]
    return f"{shlex.join(convert)} | {shlex.join(store)}"


def region_of(endpoint: str) -> str:
    """From the endpoint's name: ``….iot.eu-central-1.amazonaws.com``, ``….ats.iot.cn-north-1.amazonaws.com.cn``."""
    _, iot, rest = endpoint.partition(".iot.")
    return rest.split(".")[0] if iot and ".amazonaws." in rest else "YOUR-REGION"
