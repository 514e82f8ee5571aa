"""Is a new model better than the one in use, by what people said of its findings?

- verdicts: what auditors said, from a CSV file
- auditors: whose verdicts contradict those of the others and evidence that needs no model
- ground: what two runs are compared on: events of which truth or verdicts are known
- paired: how much better one run is, with intervals over resampled EPCs
- by_slice: the same in slices of the events
- gate: whether the difference lets a challenger pass
- worst_errors: the journeys on which a challenger does worse
- held_out: which of the new EPCs are never learned from, and which only say how far to go
- tables: what a challenger looks things up in, learned from the events of both worlds
- gathering: new events with verdicts, checked and split
- averaging: how far to go from the champion's weights to the tuned ones
- retrain: a challenger, trained and compared
- compare: two runs on the same events
- report: both on the console
"""
