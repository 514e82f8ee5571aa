"""Which model is it, is it whole, and what runs it?

- manifest: what a version says of itself
- repository: versions, found and verified
- signing: signatures of versions
- verify: a whole repository before Triton loads it
- triton_config: the type of what tells Triton how to run a model
- sequences: journeys cut and padded to what a model takes
- backend: the contract of what runs a model, its checks and its probe
- onnx_backend: a model in this process
- onnx_session: where onnxruntime runs it
- triton_backend: a model on a Triton server
- triton_control: a version that a Triton is told to load
- guarded_backend: a backend that hangs, fails or is wrong costs no calls
- breaker: when a failing model is left alone, and tried again
"""
