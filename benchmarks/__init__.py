"""What things cost here: ``make bench``. Compares in one run, alternating, and never inside a test."""
