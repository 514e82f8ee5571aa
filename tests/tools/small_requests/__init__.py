"""What is the network worth where little is known?

- __main__: the same events in requests of few items and of many
"""
