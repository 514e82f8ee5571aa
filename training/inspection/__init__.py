"""How good are the data of a folder?

- report: the inspect command
- checks: complete, consistent, valid, known
- plots: correlations and plots
- folder: the events in all forms needed
"""
