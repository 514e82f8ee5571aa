"""What does a training leave behind?

- folder: the run folder
- weights: its weights or those of a release, asked about samples
- under_test: a network to be measured, of a run or of a release
- record: what run.json says
- in_use: the run that a version was exported from
- lineage: where its data came from, and how it went
- median_events: what scores are explained against
- telling_journey: what tells its model from others: the journey of the golden probe
- expected_error: how often findings are wrong, by how much is known
- drift_histograms: the reference of the drift monitor
"""
