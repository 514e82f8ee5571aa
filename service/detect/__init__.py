"""What is wrong with an event, and who says so?

- detector: the contract of detectors
- rules: rules over the features
- rules_detector: judges by the rules
- model_detector: judges by a model
- passes: requests judged together
- ensemble: network and one-class SVMs as one
- fallback: which files a canary model judges
- analyzer: columns to verdicts
"""
