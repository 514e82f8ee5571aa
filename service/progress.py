"""How long work says how far it is, of the gateway's commands and on the training side."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is going on (one name or sentence) and how much of the whole is done, 0 .. 1."""
