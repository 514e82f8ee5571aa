"""Why a code is none of its scheme."""

from __future__ import annotations


class Malformed(ValueError):
    """A code is none of its scheme; says why, for the reason of a finding, whose catalogues have the messages."""

    def __init__(self, message: str, **values: object) -> None:
        """Args: ``message`` is English, with ``values`` at its {places}; values are safe to show."""
        super().__init__(message)
        self.message, self.values = message, values

    def __str__(self) -> str:
        return self.message.format(**self.values)
