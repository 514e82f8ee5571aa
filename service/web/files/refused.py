"""Why an upload is refused or has failed, beside what is wrong with the file itself (`service.rawfiles.refused`)."""

from __future__ import annotations

from enum import StrEnum


class Refused(StrEnum):
    """What is told to who sent it, in his language."""

    EMPTY = "the file is empty"
    TOO_LARGE = "the file is larger than {bytes} bytes: cut it into several, items whole"
    MANY_WAIT = "{files} files wait already: try again later"
    NO_ROOM_NOW = "there is no room for the file now: try again later"
    NO_ROOM = "there is no room for it on the server's disk: try again later"
    NO_MEMORY = "the server cannot work on it: it has too little memory for it, perhaps"
    INTERNAL = "internal error"
