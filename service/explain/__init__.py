"""Why has an event got its scores?

- onnx_file: the graph of a model file
- operators: the operators of such graphs in numpy, and back
- lstm: the largest of them
- network: a model's logits and their gradients
- questions: which events and kinds, and whose scores
- effects: by how much each feature moved a score
- removal: what a score would be without some features
"""
