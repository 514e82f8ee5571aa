"""How does a trained network learn from few labels of another supply chain?

- start: a trained network, to judge with and to learn on
- plan: how far to go, by the number of labels
- material: what is labelled, and what the network says of the rest
- tune: all of that for a training
"""
