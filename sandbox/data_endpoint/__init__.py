"""The HTTPS data endpoint of AWS IoT, which the emulator lacks: publish with a client certificate, port 8443.

A connection is judged as AWS IoT judges it: the client certificate is looked up in the registry by the SHA-256 of
its DER and must be ACTIVE, the attached policies decide each request, and an allowed message goes to the
emulator's broker, where subscribers and topic rules see it. A certificate that the registry does not know is
registered just in time, if its CA wants that.
"""
