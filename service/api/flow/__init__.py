"""How is flow measured, forecast and checked from outside?

- servicer: FlowService
- desk: what its methods work with
- training: data and models that are made
- scans: scans to measures, bands and advice
- forecasts: questions and plans to answers
- rows: measures, laws, alerts and advice to messages
- exposition: who is outside of his band, as a metric
"""
