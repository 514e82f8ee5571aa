"""What does a training leave behind?

- folder: the run folder
- record: what run.json says
- lineage: where its data came from
- drift_histograms: the reference of the drift monitor
"""
