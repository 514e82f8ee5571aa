"""What the training side cannot use, in one line for the user."""

from __future__ import annotations

from service.errors import SentinelError


class DataError(SentinelError):
    """A data folder or truth file cannot be used; the message says what, where and how to fix it."""
