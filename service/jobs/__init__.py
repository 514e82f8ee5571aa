"""What do the gateway's commands do with files?

- check: every detector of a gateway on the same events
- analyze: raw files in, one answer out
- positions: where the events of findings are
- cluster: the same on a Dask cluster
- explain: why an event of a raw file got its scores
- draw: that on the terminal
- stories: which findings of an answer are one incident
- render: answers as tables, JSON and CSV
- replay: raw files as a live stream
- verdict_files: verdicts of a store, for a retraining
- feedback: verdicts and the audit sample as sheets, accuracy as a table
- flow: how items flow through the sites of raw files
- tally: what a replay counts
- zones: in which zones raw times without one are
- ab: two versions of the model on the same events
- models: the versions of the model, managed
- progress: progress of long work, warnings
"""
