"""What is a scan event, and which events belong together?

- vocabulary: kinds, types, steps and their codes
- columns: N events as columns
- codes: EPC codes taken apart
- journeys: the events of each EPC in the order of time
- groups: events that share a key
- hash_table: 64-bit hashes to rows
"""
