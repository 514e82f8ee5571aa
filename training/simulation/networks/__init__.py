"""What differs from one network to another?

- habits: rhythms, noise and shares of anomalies
- drawn: a random network
- places: its places and the lanes between them
- trade: its products, their flows and their lots
- masters: its location and transition masters as files
"""
