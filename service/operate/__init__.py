"""What has to be done about the models now, by what is measured, and who does it while nobody looks?

- settings: when to act, and whether at once
- seen: what a round looks at
- observing: reads it, of the log, the verdicts, the manifests and the gateways' drift
- steps: what may be done, and what is held back
- severity: how bad it is, 0 to 1
- fallback: the network's files go to the rules, and come back
- moving: the challenger's share of the files
- renewing: retraining, rolling tables, and the challengers that come of them
- decide: all responses of a round, one after the other
- state: what outlives a round beside the log
- exposition: the rounds as metrics
- rounds: observes, decides, acts, and waits for the next round
"""
