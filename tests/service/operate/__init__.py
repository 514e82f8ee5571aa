"""Tests of `service.operate`."""
