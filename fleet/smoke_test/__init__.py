"""``zymkey-fleet verify``: a throw-away device enrolls and publishes, against the live deployment.

``device``            the device: a software key in a temporary file.
``connections``       its mutual TLS to AWS IoT: HTTPS and MQTT.
``steps``             what the smoke test tries, in order.
``first_connection``  what just-in-time registration does, with the issuer external.
``report``            how each step went, and how AWS answered where its documents do not say.
``traces``            removes everything that a device leaves.
"""
