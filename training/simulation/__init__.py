"""How does a world with known truth come about?

- world: all steps in turn
- catalogue: places, lanes, products, lots
- congestion: days on which an area's roads are slow
- scans: scans and items as columns, and the clock
- shipments: items that travel together
- journeys: where and when they go
- noise: what is harmless
- gates: that miss scans
- workbench: how variants edit scans
- anomalies: the kinds and their variants
- clones: epcDup
- codes: epcFake
- places: locErr
- order: evtOrderErr
- times: jump
- files: raw files, masters and truth
- networks: what differs from one network to another
"""
