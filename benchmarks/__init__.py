"""Measurements: ``make bench``. Each compares in one run, alternating; none is part of the tests."""
