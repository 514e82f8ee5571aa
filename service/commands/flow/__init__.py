"""What can a user type about flow?

- group: all of it, as ``epc-sentinel flow``
- measuring: measure
- planning: predict, validate, generate
- learning: train, backtest
- pages: options of pages
- repository: which models judge and forecast
"""
