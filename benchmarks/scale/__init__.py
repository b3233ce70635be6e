"""``python -m benchmarks.scale``: what the operator's commands and the sweep cost with many devices.

``seeding``      a fleet of any size, put into the emulator's memory before it starts.
``cloud``        that emulator, and a deployment in it.
``counted``      one command in its own process, and the AWS calls that it made.
``arithmetic``   the same for a million devices, on AWS.
"""
