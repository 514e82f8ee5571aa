"""By how much did each feature move a score?

- onnx_file: the graph of a model file
- operation: what an operator of a graph is, there and back
- arithmetic: operators that make numbers of numbers
- layout: operators that choose, cut, join and turn
- lstm: the largest of them
- parts: the parts of a graph, there and back
- network: a model's logits and their gradients
- questions: which events and kinds, and whose scores
- removal: what a score would be without some features
- gradients: integrated gradients, and the effects that they are
- sources: the models of a gateway to ask
"""
