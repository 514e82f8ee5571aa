"""What do the model and the rules see of an event?

- declared: the features by name, in order, with their formulas
- table: all features of a set of events, and their spec hash
- case: the events that are asked for, among all that is known
- shared: what is known of the scans before any feature
- columns: the same as the loops see it (compiled)
- journey: features of one item's scans (compiled)
- lots: features of a code, and of an item among the items of its lot (compiled)
- companions: features of a scan among those of mates (compiled)
- neighbours: features of a scan beside those of the serials next to its own (compiled)
- traffic: features of a scan among those of all others (compiled)
- mates: the groups that items and scans belong to, and their numbers (compiled)
- running_groups: statistics of companions over scans of earlier requests
- past: what is known beside a request
- keys: what the tables of reference are looked up by
- reference: the tables of what is normal here
- tables: the same as the loops look things up in them (compiled)

Compiled modules are Python that Cython turns into C (setup.py); they run as they are, too. Types in them are those of
C. Loops need no interpreter, and let go of it for large requests. A row of features is written by name, as in
`rows[i].gap_prev = gap`.
"""
