"""Two versions on the same events."""
