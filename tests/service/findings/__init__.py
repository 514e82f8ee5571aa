"""The findings stores: one contract, one suite."""
