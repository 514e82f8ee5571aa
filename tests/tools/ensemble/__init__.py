"""What the ensemble adds to the network."""
