"""How do items flow through the sites?

- stays: each visit of an item to a site, with when it came and when it left
- measures: work in progress, arrivals, departures, dwell and cycle time by site, step, product and day
- little: Little's law on a window, exactly, and what keeps its everyday form from holding
- plants: daily flow of plants that do not exist, generated item by item
- series: daily series of them, by key
- forecast: the coming days
"""
