"""Under which conditions is a run how good?

- areas: where events happen
- days: when they happen
- settling: how long a judgement waits
- all_of_them: every number of these
- sheets: tables of them
- curves: plots of them
"""
