"""How does it learn?

- config: settings of a training
- checkpoint: its state between two epochs
- loop: epoch after epoch
- calibrated: fitted and calibrated models
- cross_validation: other splits
- search: better settings
"""
