"""How often does each auditor err?

- contradictions: how often all do, by how often they contradict each other
- errors: how often each one does
"""
