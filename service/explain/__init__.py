"""Why is it flagged?

- causes: the closed list of causes, and which of them an event shows
- scans: the scans that sentences speak of
- norms: what is normal on a lane, at a place, of a lot
- mates: what the other items of the lot did
- facts: what is known of an event, from all of these
- languages: which language a caller reads
- words: numbers, times and places in a language
- sentences: the sentence of each cause
- reasons: a cause in a sentence with its numbers
- incidents: findings that are one story
- explainer: all that there is to say of one judgement
"""
