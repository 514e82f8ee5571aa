"""Tests of `service.api.models`."""
