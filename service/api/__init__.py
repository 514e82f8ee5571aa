"""How do callers meet the contract?

- servicer: AnomalyService
- call: what is known of a call while it runs
- requests: messages to columns
- wire: events read off the wire (compiled)
- models: ModelService
- flow: FlowService
- feedback: FeedbackService
- responses: judgement to messages
- explanations: reasons to messages
- status: errors to statuses
- stream: the course of a stream
- settling: which of its answers wait to be revised
- health: grpc.health.v1
- reflection: server reflection
- interceptor: who is let in
- entry: the border around every handler
- limits: rates and slots
- admission: how much work is taken on
"""
