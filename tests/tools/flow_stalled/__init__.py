"""How good stock flow is with what has stalled leaving like the rest, and without: the same origins of one world.

python -m tests.tools.flow_stalled DIR
"""
