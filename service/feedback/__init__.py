"""What do people say of events, and how good are the detectors by that?

- verdicts: what a person says, and what counts of all that was said
- store: the contract of what keeps verdicts and the audit sample
- sql: it in SQLite or PostgreSQL
- sampling: which events people are asked about
"""
