"""Who may come in, and what does a browser do with what it gets?

- entrance: every request passes it: callers, forged requests, headers
- sessions: cookies of people who logged in
- login: the form
"""
