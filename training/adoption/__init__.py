"""How does a trained network come to know somebody else's supply chain, without a label?

- adopt: the whole way, from unlabelled raw files to tables, thresholds and a report
- settings: what can be chosen
- weights: the weights as they are, asked about samples
- settling: tables learned from what rules and network do not both suspect, again and again until nothing moves
- alarms: from which score on a finding is raised, for a wanted number of alarms
- report: what is said of it, for people and for programs
"""
