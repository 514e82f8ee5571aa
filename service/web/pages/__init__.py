"""What do people see?

- report: how many findings, of what, when and where
- item: one item's journey, its findings and its mates
- timeline: the journey as a drawing
- atlas: where places are, and how long legs usually take
- effects: what moved the scores, as bars
- answer: an answer of ``analyze`` as such pages
- one_file: these in one file
- templating: templates to pages
- texts: their words in a language
"""
