"""The checks, by theme. Each is a function from an Examination to a Finding.

It returns `ok` or `warning`, raises the DeviceError that another command would end with, or Skipped when there is
nothing to check.
"""
