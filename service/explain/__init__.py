"""Why is it flagged?

- causes: the closed list of causes, and which of them an event shows
- reasons: a cause in a sentence with its numbers
- incidents: findings that are one story
- explainer: all that there is to say of one judgement
"""
