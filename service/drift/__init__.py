"""Do today's events look like those that the model was checked on?

- monitor: windows of live events against the reference
- distances: the statistics
- exposition: gauges and JSON
"""
