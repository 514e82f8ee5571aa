"""What do answers gain by settling?

- __main__: a simulated world as a stream, and both answers beside the truth
"""
