"""What is in a data folder?

- tables: tables of text, every line named
- folder: raw files to typed rows
- masters: places and routes
- dataset: the usable events
- truth: what is known to be anomalous
"""
