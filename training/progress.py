"""How long work on the training side says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is going on and how much of the whole is done, 0 .. 1."""
