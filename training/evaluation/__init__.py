"""How good is a run?

- evaluate: models, rules and baselines on unseen events
- data_under_test: what a run is evaluated on
- detectors: their names
- slices: every metric by slice
- baselines: what the model has to beat
- points: the operating points, and the budget of false alarms
- tables: tables for people
- report: console, CSV and log
- html_report: one page
- plots: curves as images
"""
