"""How is a running gateway asked?

- access: authority, certificate and token
- retries: which failures pass
- gateway: whole files
- feedback: verdicts, audit sample and accuracy
- stream: a live stream that survives restarts
"""
