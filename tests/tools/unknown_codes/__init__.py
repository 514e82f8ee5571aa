"""What do unknown codes cost?

- __main__: false alarms of epcFake in worlds of known lots, of new lots, and of new products
"""
