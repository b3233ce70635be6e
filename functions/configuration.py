"""The document that tells a device where to go. It holds no secret, so anybody may read it."""

from typing import Any

from functions.deployment import Deployment

# AWS IoT Developer Guide, device communication protocols.
HTTPS_PORT = 8443
MQTT_PORT = 8883


def configuration(deployment: Deployment) -> dict[str, Any]:
    """The endpoint for data, its ports, the topics (templates with ``{device}``) and who issues.

    ``enrollmentUrl`` is there only when it is lasting: it tells devices to use that URL from now on.
    ``lifecycle`` has the topics of a certificate's life that the IoT policy has room for: to ``confirm`` a device says
    that its new certificate (``{certificate}``, its id) works, and on ``renew`` it hears that it shall renew.
    ``credentials`` is there only where devices get AWS credentials: from which host, for which role alias.
    """
    choices = deployment.choices
    return {
        "fleet": choices.fleet,
        "issuer": choices.issuer,
        "dataEndpoint": deployment.data_endpoint,
        "httpsPort": HTTPS_PORT,
        "mqttPort": MQTT_PORT,
        "topics": dict(choices.topics),
        **({"lifecycle": dict(choices.lifecycle)} if choices.lifecycle else {}),
        **({} if choices.enrollment_url is None else {"enrollmentUrl": choices.enrollment_url}),
        **_credentials(deployment),
    }


def _credentials(deployment: Deployment) -> dict[str, Any]:
    alias = deployment.choices.role_alias
    if alias is None:
        return {}
    return {"credentials": {"endpoint": deployment.credential_endpoint, "roleAlias": alias}}
