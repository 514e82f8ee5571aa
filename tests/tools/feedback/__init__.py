"""What the loop of verdicts is tried with by people.

- study: what a sample of one in a hundred tells of a whole world
"""
