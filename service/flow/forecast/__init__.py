"""What will flow in the coming days, and how sure is that?

- past: the history that a forecast starts from, and the contract of what forecasts
- baselines: forecasts that need no training
- smoothing: forecasts that follow level, trend and week
- stock: forecasts by the items that are there
- windows: forecasts by what was learned, and what it sees
- onnx_forecast: what was learned, run by onnxruntime
- triton_network: the network, run by a Triton server
- middle: the median of what they say
- intervals: how far forecasts were off, as bounds and chances
- question: what is asked, and what is answered
- manifest: what a model says of itself
- forecaster: a model of the repository, answering
"""
