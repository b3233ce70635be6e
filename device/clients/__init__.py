"""How clients that people use with AWS IoT use the device's key. Each client has one file.

Each module has ``render(setup) -> str``: a configuration or a program that works as it is, with comments.

Raises:
    UsageError: the client cannot use this kind of key. The error names a client that can.
"""

CLIENTS = {
    "paho": "Python with paho-mqtt: MQTT",
    "requests": "Python with requests: HTTPS",
    "curl": "the curl command: HTTPS",
    "mosquitto": "the commands mosquitto_pub and mosquitto_sub: MQTT",
    "aws-sdk": "AWS IoT device SDK v2 for Python, through PKCS#11: MQTT",
    "aws-cli": "AWS command line, boto3 and other AWS SDKs: credentials for AWS's other services",
    "greengrass": "AWS IoT Greengrass, through PKCS#11",
}
