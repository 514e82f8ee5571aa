"""What forecasts, and how it learns to.

- samples: rows that learned methods are taught by
- network: the LSTM
- trees: boosted trees
- learners: all methods, and what has to be learned for them
"""
