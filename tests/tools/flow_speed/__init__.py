"""How fast flow is: the measures of raw files, and `Predict` of 30 days by a flow model of a repository.

python -m tests.tools.flow_speed DIR REPOSITORY
"""
