"""How are known faults worked into somebody's own journeys?

- plant: all faults, and events with some of them
- bed: the events while they are edited
- codes: epcFake
- clones: epcDup
- places: locErr
- order: evtOrderErr
- times: jump
"""
