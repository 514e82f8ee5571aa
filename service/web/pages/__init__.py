"""What do people see?

- report: how many findings, of what, when and where
- item: one item's journey, its findings and its mates
- timeline: the journey as a drawing
- atlas: where places are, and how long legs usually take
- effects: what moved the scores, as bars
- answer: an answer of ``analyze`` as such pages
- flow: how items flow, measured and forecast
- one_file: these in one file
- routes: the pages by HTTP
- filters: which findings, by the address of a page
- looks: how a page is made for who asked
- kept: pages that were made before
- moved: what moved the scores of an item, asked of the gateway
- metrics: what the gateway tells of its health
- templating: templates to pages
- texts: their words in a language
"""
