"""What a user would otherwise write: one detector behind three usual servers, under load beside the gateway.

- `detector`: thirty simple features, the bundled network, thresholds, an answer; no code of the gateway
- `rows`: the JSON of the two HTTP servers, one object per event
- `with_fastapi`, `with_grpc`, `with_litserve`: the servers, each in a file
- `servers`: starts and ends them and the gateway, as processes of their own
- `load`: the same closed loop at all of them, by gRPC or HTTP
- `report`: medians and ratios for people

The gateway does more for an event than its peers do: features of companions in lot, shipment and traffic, checks of
every field, admission, deadlines, metrics. What is compared is what a caller gets from the same cores.
"""
