"""How many pieces does the encoding need?

- __main__: quality and cost of a network with fewer and fewer of them
"""
