"""What do the model and the rules see of an event?

- table: all features of a set of events, and their spec hash
- shared: the columns that features share
- journey: features of one item
- companions: features of an item among its companions
- mate_groups: the groups of companions that a scan belongs to
- running_groups: statistics of companions over scans of earlier requests
- past: what is known beside a request
- keys: what the tables of reference are looked up by
- reference: the tables of what is normal here
- case: the events that are asked for, among all that is known
"""
