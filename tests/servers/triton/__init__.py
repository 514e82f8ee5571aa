"""Test equipment: a real Triton server from the pytriton wheel. Not part of the product."""
