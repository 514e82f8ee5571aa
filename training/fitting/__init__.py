"""How does it learn?

- config: settings of a training
- checkpoint: its state between two epochs
- loop: epoch after epoch
- start: weights that it starts from, and what holds it near them
- candidates: how far it moves from them
- calibrated: fitted and calibrated models
- thinning: fewer pieces of a fitted network
- cross_validation: other splits
- search: better settings
"""
