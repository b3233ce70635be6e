"""The whole cloud, and a Zymkey, on one machine.

``python -m sandbox start`` deploys the unmodified CDK app into an AWS emulator and leaves it running, with an
HTTPS data endpoint beside it and a simulated Zymkey. The product knows nothing of it: only addresses, CA files
and environment variables differ from an AWS account.
"""
