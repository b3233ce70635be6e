"""Quiet for this machine's Node: the one that is tested here is older than the CDK likes."""

import os

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
