"""How does a run, or an adoption, become a version of the model repository?

- run: the whole way
- adopted: weights as they are, with tables and thresholds of another network
- points: operating points from worlds that the training never saw
- to_onnx: a model as ONNX, and the proof
- from_onnx: the network of a repository as torch again
- repository: versions and Triton's config, written whole
- undo: a change that fails leaves nothing
- flow: forecasts of flow as a version
- flow_graphs: their network and trees as ONNX
- frontier: cost against quality of networks
"""
