"""How does a run become a version of the model repository?

- run: the whole way
- to_onnx: a model as ONNX, and the proof
- repository: versions and Triton's config, written whole
- undo: a change that fails leaves nothing
- frontier: cost against quality of networks
"""
