"""What is wrong with a request, for its caller. How it is answered is the business of `service.web.refusals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldFault = tuple[str, str]  # field of the request, what is wrong with it and how to fix it


class Problem(Exception):
    """A request ends with an error that its caller can read."""

    def __init__(
        self,
        status: int,
        detail: str,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.detail, self.faults, self.headers = status, detail, faults, headers or {}
        super().__init__(detail)
