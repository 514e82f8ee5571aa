"""What can a user type?

- serve: the gateway
- web: HTTP paths, findings and pages, in front of a gateway
- analyze: findings in raw files
- check: every detector of a gateway on the same events
- explain: why an event got its scores
- replay: raw files as a live stream
- flow: work in progress, throughput and cycle times
- models: the versions of the model, and which one judges
- verify: a repository before Triton loads it
- feedback: verdicts, the audit sample, accuracy
- training: simulate, inspect, train, evaluate, export
- adopt: a trained network in another supply chain
- loop: what closes the loop from verdicts to better models
- studies: tune and study
- bench: the gateway under load
- options: what commands share
- help: what --help says, and where
"""
