"""A real PostgreSQL server of the system, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.support.processes import end, free_ports, need

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/nowhere"))

_NOBODY = "postgres"  # it refuses to run as root


class Postgres:
    """A server on a free loopback port; a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: dict[str, int | str] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(_NOBODY)
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid}
        [self.port] = free_ports(1)
        data = self._folder / "data"
        made = [PROGRAMS / "initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(made, check=True, capture_output=True, cwd=self._folder, **self._as)
        options = ["-D", data, "-p", str(self.port), "-k", str(self._folder), "-h", "127.0.0.1", "-c", "fsync=off"]
        self._log = (self._folder / "log").open("w")
        self._process = subprocess.Popen(
            [PROGRAMS / "postgres", *options], stdout=self._log, stderr=subprocess.STDOUT, cwd=self._folder, **self._as
        )
        self._wait()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database and return its URL."""
        made = [PROGRAMS / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", database]
        subprocess.run(made, check=True, capture_output=True)
        return self.url(database)

    def _wait(self, within_s: float = 30) -> None:
        ready = [PROGRAMS / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        deadline = time.monotonic() + within_s
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        end(self._process)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run; make a database of your own in it."""
    need((PROGRAMS / "postgres").is_file(), "PostgreSQL is not installed (Debian: postgresql)")
    with Postgres() as server:
        yield server
