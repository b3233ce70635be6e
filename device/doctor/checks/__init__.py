"""The checks, by theme. Each is a function from an Examination to a Finding.

It returns ``ok`` or ``warning``.

Raises:
    DeviceError: the check failed; another command would end with this error.
    Skipped: there is nothing to check.
"""
