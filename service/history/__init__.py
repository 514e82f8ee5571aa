"""What is known of an item and its mates from before the request?

- store: what is stored, and the contract of stores
- in_process: the store of one gateway
- valkey: the store that gateways share
- items: codes as the history names them
- ledger: what a gateway knows of the store, and the steps of a request
- index: the records that it has read, by item
- generations: which of them it keeps
- plan: what a request adds
- hindsight: what is known of events that were judged before
- history: requests against the history, in turn
"""
