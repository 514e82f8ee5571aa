"""The errors that cross the borders of wings.

`service.api.status` maps each `SentinelError` to one gRPC status, nothing else reaches a caller; a `CommandError` ends
a command with one line; `EffectsUnavailable` becomes a warning in an answer.
"""

from __future__ import annotations


class SentinelError(Exception):
    """Base of the project's errors; the message is written for the caller and holds no internals."""


class InvalidRequest(SentinelError):
    """The request is unusable; ``violations`` are (field, what is wrong, how to fix it): ("data[17].event_time", .)."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{field}: {text}" for field, text in violations[:3]))


class Unauthenticated(SentinelError):
    """The call does not prove who makes it; ``reason`` is for the log, the caller learns nothing of it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("send a valid token in the metadata: authorization: Bearer TOKEN")


class PermissionDenied(SentinelError):
    """The caller is known, and may not do this."""


class NoSuchMethod(SentinelError):
    """Nothing answers under this name."""


class NotImplementedYet(SentinelError):
    """The contract names it, this version does not do it."""


class NoSuchEvent(SentinelError):
    """The event that is asked about is not among those of the request."""


class Draining(SentinelError):
    """The gateway stops; the caller is to go on at another one, or at the next start of this one."""


class Overloaded(SentinelError):
    """No room for this request now; retry after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ModelUnavailable(SentinelError):
    """The model backend cannot answer (down, not loaded, or failing)."""


class WrongModel(ModelUnavailable):
    """The backend answers, but not as the model of the manifest does: no answer of it can be used."""


class ModelHangs(ModelUnavailable):
    """The model server may answer some day: whoever asks next would wait as long."""


class NoUsableModel(ModelUnavailable):
    """The repository has no version that this gateway can use; the rules judge until one comes."""


class UnusableFeatures(SentinelError):
    """Something of an event comes out as no number: no model and no rule could tell that from normal."""


class DeadlineExceeded(SentinelError):
    """The caller's deadline passed before the answer was ready."""


class ModelRepositoryError(SentinelError):
    """The model repository cannot be used: missing or damaged files, or a feature spec that is not this gateway's."""


class NoSuchModel(SentinelError):
    """There is no such version of the model, or no such long-running operation."""


class NotInThisState(SentinelError):
    """A version of the model cannot be moved as asked: what it is now, or what it is made of, forbids that."""


class HistoryUnavailable(SentinelError):
    """The store of the history cannot be used (down, slow, or refusing)."""


class VerdictsUnavailable(SentinelError):
    """The store of verdicts cannot be used (down, full, or damaged)."""


class CommandError(Exception):
    """A command cannot go on. The message is one line for the user: what is wrong, where, and how to fix it."""

    exit_code = 1


class SettingsError(CommandError):
    """The command was called with settings that it cannot use."""

    exit_code = 2


class StoreUnavailable(CommandError):
    """The store of findings cannot be used: no disk, no server, or no room."""


class EffectsUnavailable(Exception):
    """How features moved a score cannot be worked out; says why. Explain answers without effects then, and warns."""


def in_words(message: str) -> str:
    """Return what pydantic says of a bad value without what only its authors understand."""
    said = message.removeprefix("Value error, ").removeprefix("Input ")
    return said.partition(", unable to parse")[0].replace("a valid integer", "a whole number")
