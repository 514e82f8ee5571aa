"""Are the errors of the balanced point undecidable?

- __main__: the evidence of the network, judged by trees
"""
