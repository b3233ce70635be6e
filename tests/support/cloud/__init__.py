"""The deployed cloud as tests use it: its endpoint, its ledger, AWS IoT behind it, and faults in between."""
