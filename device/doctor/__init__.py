"""`zymkey-iot doctor`: named checks, from the HSM outwards to the cloud, each with its cause and its cure.

checklist.py    which checks there are, in which order, and what each needs
examination.py  what one run finds out on the way; several checks look at one attempt
finding.py      what a check answers
rounds.py       runs the checks; one whose need failed is skipped and says so
report.py       tells the results, as lines or as JSON
checks/         the checks, by theme
"""
