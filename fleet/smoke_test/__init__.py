"""``zymkey-fleet verify``: a throw-away device enrolls and publishes, against the live deployment.

``device``            the device: a software key in a temporary file.
``enrollment``        how it gets its certificate.
``topics``            its topics.
``connections``       its mutual TLS to AWS IoT: HTTPS and MQTT.
``settling``          the time that AWS IoT takes to know what is new.
``steps``             what the smoke test tries, in order.
``questions``         what AWS's documents leave open. Who asks:
``reach``             what the operator may write,
``registered_ca``     the mode of a CA,
``shared_port``       port 443,
``credentials``       the credential provider,
``thingless``         MQTT without an attached thing,
``first_connection``  what just-in-time registration does, with the issuer external.
``report``            how each step went, and how AWS answered where its documents do not say.
``traces``            removes everything that a device leaves.
"""
