"""What does the model learn from?

- samples: sequences with labels
- splits: who is learned from, calibrated on, tested on
- passes: training passes among strangers
- labelled_data: events with labels, each EPC in one part
- other_networks: events of networks with tables of their own
- labels: the truth, or what the rules say
- reference: the reference tables, learned
- openings: which products go to a place that has just opened
"""
