"""How does another network write its events? What a ``network.toml`` says, and codes of other schemes.

- dialect: columns, words and codes of one network, checked
- load: the file that says so
- malformed: why a code is none of its scheme
- dashed: the model's own scheme with dashes
- gs1: GTINs with serials, as URNs, web addresses and element strings
- pattern: a regular expression with named groups
- steady: whether a regular expression is read in one go
"""
