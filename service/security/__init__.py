"""Who calls, may he do that, and which files say so?

- auth: bearer tokens, client certificates, roles
- jwt_keys: tokens that are JWT
- tls: certificates of the servers
- watched_files: files that may change while the gateway runs
"""
