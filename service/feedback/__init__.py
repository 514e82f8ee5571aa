"""What do people say of events, and how good are the detectors by that?

- verdicts: what a person says, and what counts of all that was said
- store: the contract of what keeps verdicts and the audit sample
- sql: it in SQLite or PostgreSQL
- tables: its tables there
- sampling: which events people are asked about
- weighed: what the words on each claim are worth, and who is at odds with the others
- believed: what the words of people who err make of an event
- estimators: accuracy of all events from a sample whose probabilities are known
- accuracy: how good each detector is, over the latest files
- paired: how much better one version is than another on the same events
- pairs: what two versions said of the same events of the sample
- moves: which share of the files a challenger should have by that
- baselines: how good the models were when they were checked
- exposition: it as Prometheus metrics
"""
