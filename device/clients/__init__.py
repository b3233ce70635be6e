"""How the clients that people use with AWS IoT get at the device's key. One client a file.

Each module has `render(setup) -> str`: a configuration or a program that works as it is, with comments. It raises
UsageError when the client cannot use a key of this kind, and says what can.
"""

CLIENTS = {
    "paho": "Python with paho-mqtt: MQTT",
    "requests": "Python with requests: HTTPS",
    "curl": "the curl command: HTTPS",
    "mosquitto": "the commands mosquitto_pub and mosquitto_sub: MQTT",
    "aws-sdk": "AWS IoT device SDK v2 for Python, through PKCS#11: MQTT",
    "greengrass": "AWS IoT Greengrass, through PKCS#11",
}
