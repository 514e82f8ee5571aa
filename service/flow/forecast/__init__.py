"""What will flow in the coming days, and how sure is that?

- past: the history that a forecast starts from, and the contract of what forecasts
- baselines: forecasts that need no training
- intervals: how far forecasts were off, as bounds and chances
- question: what is asked, and what is answered
- manifest: what a model says of itself
- forecaster: a model of the repository, answering
"""
