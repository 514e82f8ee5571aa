"""How do items flow through the sites?

- stays: each visit of an item to a site, with when it came and when it left
- counted: which scans count, and which stays had stalled
- measures: work in progress, arrivals, departures, dwell and cycle time by site, step, product and day
- little: Little's law on a window, exactly, and what keeps its everyday form from holding
- plants: daily flow of plants that do not exist, generated item by item
- series: daily series of them, by key
- forecast: the coming days
- sites: flow by site and day
- alerts: sites whose stock or dwell leaves the band that it had kept to
- advice: what follows, by rules with their numbers
- shelf: the versions of the flow model in a repository
- gate: what keeps a version from being the champion
- kept: generated data, kept as files
"""
