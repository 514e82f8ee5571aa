"""What the loop of verdicts is tried with by people.

- drifting: a world that drifts from a day on
- closing: the loop on it, beside the same without it
- weekly: what people tell by week, of many worlds and samples, and when that is an alarm
- attainable: what a retraining that knows all the truth reaches on it
- auditor: a sheet, filled in by the truth and some errors
- two_versions: how often equal versions differ, and better ones are seen
- erring: what is measured where auditors err, and where the detector does
- study: what a sample of one in a hundred tells of a whole world
"""
