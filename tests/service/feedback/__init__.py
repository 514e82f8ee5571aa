"""Tests of `service.feedback`."""
