"""How does the existing backend ask, and what does it read?

- aliases: words of old callers, and what they mean
- places: names of places, where a caller gives no id
- fields: the fields of events, whichever way they are spelled
- requests: JSON to a request of the gateway
- answers: the gateway's answer to JSON
- routes: the paths
- examples: what the documentation shows
"""
