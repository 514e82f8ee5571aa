"""How good is a run?

- evaluate: models, rules and baselines on unseen events
- data_under_test: what a run is evaluated on
- detectors: their names
- slices: every metric by slice
- conditions: the slices that reality cuts: areas, days, seconds waited
- baselines: what the model has to beat
- focus: where the attention looks
- importance: what one-class SVMs go by
- causes: what causes and incidents are worth
- later: anomalies that the list of causes was not made for
- mistakes: what the balanced point gets wrong
- points: the operating points, and the budget of false alarms
- tables: tables for people
- inside: tables of what models go by
- report: console, CSV and log
- html_report: one page
- plots: curves as images
"""
