"""``zymkey-fleet verify``: a throw-away device goes all the way, against the live deployment.

``device``            the device: a software key in a temporary file.
``connections``       its mutual TLS to AWS IoT: HTTPS and MQTT.
``steps``             what is tried, in order.
``first_connection``  what just-in-time registration does, where the CA is elsewhere.
``report``            how each step went, and how AWS answered where nobody had known.
``traces``            everything that a device leaves, removed again.
"""
