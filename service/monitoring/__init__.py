"""What is remembered of every request, and where is it shown?

- records: what observers are told
- shadows: champion and challenger compared, as metrics
- metrics: Prometheus metrics
- metrics_endpoint: the HTTP port of /metrics and /drift
- audit: the audit log
- audit_sample: what draws the events that people are asked about
- background_writer: the queue and the thread of what is written
- refusals: refused calls, few lines of many
- detection_log: judged events as Parquet
- tracing: OpenTelemetry traces
- span_exporter: what sends them, over a new connection after each failure
- logs: structured logs
"""
