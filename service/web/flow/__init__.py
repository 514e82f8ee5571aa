"""How is flow forecast, checked and its models made by HTTP?

- ask: the way to FlowService
- bodies: what the paths take
- routes: the paths
"""
