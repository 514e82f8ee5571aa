"""What does a training leave behind?

- folder: the run folder
- candidate: its network, or that of a release, to be measured
- record: what run.json says
- lineage: where its data came from
- median_events: what scores are explained against
- expected_error: how often findings are wrong, by how much is known
- drift_histograms: the reference of the drift monitor
"""
