"""Tests of the words and codes of other networks."""
