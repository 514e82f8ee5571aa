"""How good are scores?

- per_kind: by kind and on average
- ranking: anomalous before normal, with intervals
"""
