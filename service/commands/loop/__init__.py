"""What closes the loop from verdicts to better models?

- retraining: verdicts to a challenger, and two runs compared
- operate: what watches, and responds
"""
