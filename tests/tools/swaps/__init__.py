"""Does a new version of the model cost the callers anything?

- load: versions are promoted under load
- __main__: the table
"""
