"""How do people and old callers get at a gateway? HTTP, in a process of its own.

- settings: what the service is told
- serve: the HTTP server
- app: its parts, put together
- parts: what routers share
- problems: what is wrong with a request
- refusals: errors as problem+json
- health: is it alive, and what is there
- models: the versions of the model, managed
- guard: who may come in
- documentation: the page that describes the paths
- body: the bodies of requests
- judge: the way to the gateway
- oldpaths: how the existing backend asks
- files: how a file becomes a report
- flow: forecasts, plans and models of flow
- feedback: what people say is right and wrong
- reports: what was found, for programs
- pages: what was found, for people
"""
