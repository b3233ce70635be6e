"""What AWS's documents leave open, and the smoke test observes: by the names that its report has.

docs/operator.md says of each what the answer changes.
"""

from __future__ import annotations

QUESTIONS = {
    "wwwAuthenticateArrivesAs": "the header in which the challenge of a 401 arrives",
    "writeOfACaInTheLedger": "whether a person's policy keeps a write in a transaction from what the ledger has of CAs",
    "apiUrlAnswersToo": "whether the API's own address answers beside the domain",
    "certificateSubject": "the subject of an issued certificate",
    "csrSubjectIsKept": "whether Amazon's CA keeps the CSR's common name",
    "csrWholeSubjectIsKept": "whether Amazon's CA keeps the rest of the CSR's subject too",
    "caCertificateMode": "the mode in which the CA is registered with AWS IoT",
    "httpsAcceptedWithinSeconds": "how long it takes until a new certificate may publish over HTTPS",
    "mqttAcceptedWithinSeconds": "how long it takes until a new certificate may publish over MQTT",
    "httpsRefusal": "how AWS IoT refuses a topic over HTTPS",
    "httpsOverPort443": "whether HTTPS works at port 443 (ALPN x-amzn-http-ca)",
    "mqttOverPort443": "whether MQTT works at port 443 (ALPN x-amzn-mqtt-ca)",
    "mqttWithoutThing": "whether a certificate that is attached to no thing may connect over MQTT",
    "mqttWithoutThingCanBeDenied": "whether mqttWithoutThing: deny leaves publishes over HTTPS alone",
    "credentialsAnswer": "what the credential provider answers",
    "credentialsInAnotherName": "what it answers to a device that gives another thing's name",
    "httpsRegistersAtFirstConnection": "whether an unknown certificate is registered by a request over HTTPS",
    "httpsAnswersWhilePending": "what HTTPS answers while the certificate is not active",
    "mqttRegistersAtFirstConnection": "whether an unknown certificate is registered and activated by MQTT",
}
