"""How does a trained network come to know somebody else's supply chain, without a label?

- adopt: the whole way, from unlabelled raw files to tables, thresholds and a report
- settings: what can be chosen
- judging: requests of a size, and tables of counts, that the weights know
- settling: tables learned from what rules and network do not both suspect, again and again until nothing moves
- rolling: new weeks come into the tables, old ones fade
- alarms: from which score on a finding is raised, for a wanted number of alarms
- planting: known faults, worked into the data's own journeys
- trust: how many of them are found, and so how far each kind can be trusted
- mixture: how many findings are of each of them
- strangeness: how far the data are from what the network knows
- audit: the journeys most worth a human look
- report: what is said of it, for people and for programs
"""
