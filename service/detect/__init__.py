"""What is wrong with an event, and who says so?

- names: the names of detectors
- cutoffs: from which probability on a score is a finding, by operating point or by costs
- detector: the contract of detectors
- rules: rules over the features
- rules_detector: judges by the rules
- model_detector: judges by a model
- passes: requests judged together
- ensemble: network, one-class SVMs and rules as one
- canary: which files a new version judges
- traffic: which share of the files a detector or a version judges
- fallback: who answers when a model cannot
- hours: whether the hours of a file look shifted
- lookups: which codes and scans the tables know, in compiled loops
- coverage: how much of a file lies outside of the tables
- unknown_codes: what unknown codes are worth where most are unknown
- analyzer: columns to judgements
"""
