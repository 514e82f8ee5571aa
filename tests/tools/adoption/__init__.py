"""What is adoption worth where the truth is known?

- __main__: quality with tables bundled, of all events, adopted, of the truth; and recall beside its estimate
"""
