"""What is known of an item and its mates from before the request?

- store: what is stored, and the contract of stores
- in_process: the store of one gateway
- valkey: the store that gateways share
- items: codes as the history names them
- index: what a gateway has read of the logs
- plan: what a request adds
- history: requests against the history, in turn
"""
