"""Which questions do data and model answer?

- menu: the studies by name
- coldstart: first events of an item
- lengths: how long a sequence has to be
- redundancy: which features say the same
- robustness: a world that is not as in training
- transfer: a network that the model never saw
"""
