"""Why is it flagged, and how sure is that?

- causes: the closed list of causes, and which of them an event shows
- reasons: a cause in a sentence with its numbers
- incidents: findings that are one story
- onnx_file: the graph of a model file
- operation: what an operator of a graph is, there and back
- arithmetic: operators that make numbers of numbers
- layout: operators that choose, cut, join and turn
- lstm: the largest of them
- network: a model's logits and their gradients
- questions: which events and kinds, and whose scores
- effects: by how much each feature moved a score
- sources: the models of a gateway to ask
- removal: what a score would be without some features
- explainer: all of that about one judgement
"""
