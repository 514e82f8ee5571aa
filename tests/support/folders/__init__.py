"""Data folders that tests of the training side read: raw ones, a flawed one, a simulated one, one rewritten."""
