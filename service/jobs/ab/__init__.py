"""Which of two versions is better, on the same events?

- compare: what both say, wherever it comes from
- judged: files judged by both, in this process
- recorded: what gateways kept of events that both judged
- known: what truth or verdicts say of the events
- report: the differences, as tables or JSON
"""
