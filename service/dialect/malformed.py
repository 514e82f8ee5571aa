"""Why a code is none of its scheme."""

from __future__ import annotations


class Malformed(ValueError):
    """A code is none of its scheme; the message says why, for the reason of a finding."""
