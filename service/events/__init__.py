"""What is a scan event, and which events belong together?

- vocabulary: kinds, types, steps and their codes
- columns: N events as columns
- codes: EPC codes taken apart
- foreign: codes of other schemes, as text of one form
- words: what types, steps and codes are called
- code_digits: their digits (compiled)
- journeys: the events of each EPC in the order of time
- groups: numbers for what is equal, members group by group (compiled)
- texts: numbers for texts that are equal (compiled)
- zones: what the clocks of sites show at an instant, and back
- earth: how far apart two places are
- hash_table: 64-bit hashes to rows
"""
