"""How do the parts become a process that serves?

- build: settings to working parts
- wiring: what these parts are
- no_model: what judges without a usable model
- loaded: the versions that are loaded, and how they come and go
- lineups: which of them judges a request
- shadow: the challenger, compared with what was answered
- following: the log of promotions, followed
- flows: what FlowService works with
- observers: what watches the gateway
- compiled: whether the features are, and what to do if not
- listen: its ports
- scored: what explanations read of the models
- server: its life, from start to drain
- workers: one worker of several
- heart: whether a worker's event loop lives
- supervisor: the process that minds workers
"""
