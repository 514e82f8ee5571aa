"""Tests of `service.lifecycle`."""
