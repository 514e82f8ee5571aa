"""What learns?

- lstm: the network
- encoding: how features enter it
- loss: what is minimised
- calibration: logits to probabilities to findings
- one_class_svm: what normal events look like
- predict: what a model says of samples, and what is served of it
"""
