"""EPC Sentinel's gateway: scan events in, what is wrong with each of them out.

- errors: what crosses the borders of wings when something fails
- console: where tables for people are printed
- progress: how long work says how far it is
- __main__: the console script
- environment: variables that no setting has
- auditors: how often does each person err who judges?
- settings: the settings of the gateway
- runtime: where and how work runs
- security: who calls, and what he may do
- events: scan events as columns
- dialect: words and codes of other networks
- rawfiles: raw scan files
- features: what is seen of every event
- model: the model repository and what runs it
- drift: whether today's events look like those of the training
- flow: how do items flow through the sites?
- lifecycle: which version is in use, and who decided that
- history: what was known before a request
- detect: what is wrong with an event
- effects: by how much each feature moved a score
- explain: why an event is flagged
- feedback: what people say of it, and how good the detectors are by that
- operate: what is to be done about the models, and who does it
- monitoring: what is remembered of every request
- api: the contract, as callers meet it
- gateway: the process that serves
- client: how a running gateway is asked
- findings: what was found in which file, kept
- jobs: what commands do with files
- bench: what requests cost
- web: HTTP for old callers and for people, in front of a gateway
- commands: the console script's commands
- pb: generated messages of the contract
"""

import os

# Before anything imports numpy, here and in the processes that are started from here. The matrices are small: two
# threads of OpenBLAS gain nothing on free cores, and wait for each other on busy ones (gradients of 2 ms take 12).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
