"""Do two checkouts of the project cost alike? See `__main__`.

- stages: what each stage of a request costs in the checkout that it is run in
"""
