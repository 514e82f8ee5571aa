"""What do requests cost on this machine?

- run: every load in turn
- load: closed-loop load on a server process
- stages: what each stage costs by itself
- tables: the report for people
- echo: a server that does nothing
"""
