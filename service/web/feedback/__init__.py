"""How do people say on pages what is right and wrong?

- ask: the way to the gateway's FeedbackService
- routes: buttons beside findings, and the page of the audit sample
"""
