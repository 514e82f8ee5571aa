"""``analyze --cluster``: the workers of a Dask cluster judge, where one machine is outgrown.

They get the pieces that one machine would judge one after the other (`analyze.split`): all events of an item are in one
piece, and the items of a lot, which travel in the same shipments, wherever they fit. So the answers are the same.
Workers need this package and the model repository under the same path. The link to a cluster is as safe as the cluster
makes it: Dask runs what its clients send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from distributed import CancelledError, Client, KilledWorker

from service.api.responses import build_responses
from service.detect.names import DetectorName
from service.errors import CommandError
from service.events.columns import Events
from service.gateway.build import build_wiring
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.process import keep_freed_memory
from service.settings import Settings

_CONNECT_S = 15.0
_LOST = (OSError, CancelledError, KilledWorker)
"""What Dask raises where its scheduler or a worker is lost; timeouts and closed connections are OSError too."""


class Cluster:
    """Asks the workers of a cluster to judge events."""

    def __init__(self, address: str, client: Client, settings: Settings, threads: int) -> None:
        self._address, self._client, self._settings = address, client, settings
        self.at_once = 2 * threads  # pieces: one at work in each thread of the cluster, and one under way to it

    @classmethod
    async def connect(cls, address: str, settings: Settings) -> Cluster:
        """Return the cluster whose scheduler is at ``address``, as tcp://HOST:PORT.

        Raises:
            CommandError: nobody answers there, or it has no workers.
        """
        try:
            client = await Client(  # type: ignore[no-untyped-call]
                address, asynchronous=True, timeout=_CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError):
            raise CommandError(
                f"no Dask scheduler answers at {address}: give --cluster the address that it logs, as tcp://HOST:8786"
            ) from None
        threads: dict[str, int] = await client.nthreads()
        if not threads:
            await client.close()
            raise CommandError(f"the Dask cluster at {address} has no workers: start some with 'dask worker {address}'")
        return cls(address, client, settings, sum(threads.values()))

    async def judge(self, events: Events, detector: DetectorName) -> Sequence[pb.AnalyzeResponse]:
        """Return the answers of a worker, one per file.

        Raises:
            CommandError: the cluster is lost.
            SentinelError: the model cannot be used there.
        """
        try:
            answer = await self._client.submit(_judge, self._settings, events, detector, pure=False)
        except _LOST as error:
            raise CommandError(f"the Dask cluster at {self._address} was lost: {type(error).__name__}") from error
        return pb.AnalyzeFilesResponse.FromString(answer).files

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()  # type: ignore[no-untyped-call]


def _judge(settings: Settings, events: Events, detector: DetectorName) -> bytes:
    """Judge events on a worker; return a serialised AnalyzeFilesResponse."""
    keep_freed_memory()

    async def judge() -> bytes:
        wiring = build_wiring(settings)  # 20 ms: nothing of one piece is left for the next
        try:
            judgement = await wiring.analyzer.analyze(events, detector)
        finally:
            await wiring.close()
        return pb.AnalyzeFilesResponse(files=build_responses(events, judgement)).SerializeToString()

    return asyncio.run(judge())
