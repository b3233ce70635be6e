"""``zymkey-iot doctor``: named checks from the HSM to the cloud; each fault has its cause and its cure.

checklist.py    which checks there are, in which order, and what each needs
runner.py       runs the checks; skips a check if one that it needs has failed
examination.py  what one run has found so far, so that checks share one attempt
finding.py      what a check returns
tls_probe.py    what a server says of itself, unverified
report.py       prints the results, as lines or as JSON
checks/         the checks, by theme
"""
