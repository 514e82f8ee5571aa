"""How are the versions of the model managed from outside?

- servicer: ModelService
- messages: versions, states and operations to messages
"""
