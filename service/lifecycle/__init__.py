"""Which version of the model is in use, who decided that, and which comes next?

- states: champion, challenger, previous, archived: what the log of promotions adds up to
- promotion_log: who moved which version and why, appended and never changed
- mlflow_mirror: the states as aliases of an MLflow registry
- operations: commands that run long, with progress and an end
- processes: which are there, and who holds a lock
- register: versions of the repository with their states, moved one at a time
"""
