"""Shares of the files for detectors and versions: ``lstm@challenger=10,rules=20``; the rest is the champion's.

One file always gets the same one, from every gateway: by a keyed hash of its id and of each share's name, weighed
(weighted rendezvous hashing, Schindelhauer and Schomaker, 2005). When a share grows, files come to it, and hardly any
moves between the others.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.detect.names import DetectorName

CHAMPION = "champion"

_SHARE = re.compile(
    r"(?P<detector>[a-z]+)(@(?P<version>champion|challenger|previous|[1-9][0-9]{0,8}))?=(?P<percent>[0-9]{1,3}(\.[0-9]{1,3})?)"
)


@dataclass(frozen=True, slots=True)
class Share:
    """One detector of one version, and how many of the files it gets."""

    detector: DetectorName
    version: str  # champion, challenger, previous, or a number
    percent: float

    @property
    def name(self) -> str:
        """The name: "lstm@challenger"."""
        return f"{self.detector}@{self.version}"


@dataclass(frozen=True, slots=True)
class Traffic:
    """All shares, that of the champion's network among them."""

    shares: tuple[Share, ...]
    key: bytes = b""  # up to 64 bytes; who does not know it cannot choose who judges his file

    @classmethod
    def parse(cls, text: str, key: bytes = b"") -> Traffic:
        """Return the traffic that a text says.

        Raises:
            ValueError: it cannot be read, or the shares are more than the whole; says why.
        """
        shares = [_share(part.strip()) for part in text.split(",") if part.strip()]
        names = [share.name for share in shares]
        if len(set(names)) < len(names):
            raise ValueError("has a share twice")
        rest = 100.0 - sum(share.percent for share in shares)
        whole = Share(DetectorName.LSTM, CHAMPION, rest)
        if whole.name in names and abs(rest) > 1e-6:
            raise ValueError(f"adds up to {100 - rest:g} %: with a share of {whole.name} it must be 100")
        if rest < -1e-6:
            raise ValueError(f"adds up to {100 - rest:g} %: 100 is the whole")
        return cls((*shares, *([whole] if whole.name not in names else [])), key)

    @property
    def versions(self) -> list[int]:
        """The versions that are named by number."""
        return [int(share.version) for share in self.shares if share.version.isdecimal() and share.percent > 0]

    def choose(self, file_id: int, names: Mapping[str, int | None]) -> Share:
        """Return the share that a file belongs to. Args: ``names`` are the versions that have a state, by its name.

        A share whose version is not there is the champion's: the file's place stays the same when it comes.
        """
        best, highest = self.shares[-1], -math.inf
        for share in self.shares:
            version = names.get(share.version) if not share.version.isdecimal() else int(share.version)
            drawn = _drawn(f"{file_id}/{share.detector}@{version}", self.key)
            score = math.log(share.percent / -math.log(drawn)) if share.percent > 0 else -math.inf
            if score > highest:
                best, highest = share, score
        return best


def _share(text: str) -> Share:
    found = _SHARE.fullmatch(text)
    if found is None or found["detector"] not in list(DetectorName):
        raise ValueError(f"has {text!r}, which is no share such as lstm@challenger=10 or rules=20")
    return Share(DetectorName(found["detector"]), found["version"] or CHAMPION, float(found["percent"]))


def _drawn(text: str, key: bytes) -> float:
    """Return a number above 0 and below 1 that the text and the key make."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, key=key).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64
