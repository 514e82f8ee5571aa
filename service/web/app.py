"""The web service: its parts, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service.client.access import access_by_files
from service.client.retries import retried
from service.events.zones import TimeZones
from service.findings.choose import open_store
from service.web import health, problems, reports
from service.web.judge import GatewayJudge
from service.web.oldpaths import routes
from service.web.oldpaths.aliases import Aliases
from service.web.oldpaths.places import read_places
from service.web.oldpaths.requests import RequestReader
from service.web.parts import Parts
from service.web.settings import WebSettings

ROUTERS = (health.router, routes.router, reports.router)


def build_app(settings: WebSettings) -> FastAPI:
    """Return the service; its parts live from its start to its end.

    Raises:
        CommandError: the store or a file of the settings cannot be used.
    """
    access = access_by_files(settings.ca_file, settings.cert_file, settings.key_file, settings.token_file)
    reader = RequestReader(
        Aliases.read(settings.aliases), TimeZones(settings.time_zone), read_places(settings.locations)
    )
    store = open_store(settings.store, max_bytes=settings.store_max_bytes, max_days=settings.store_max_days)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        channel = access.aio_channel(settings.target, [("grpc.max_receive_message_length", -1), *retried()])
        app.state.parts = Parts(settings, store, access, channel, GatewayJudge(channel, access), reader)
        try:
            yield
        finally:
            await channel.close()
            store.close()

    app = FastAPI(
        title="EPC Sentinel",
        version=version(health.NAME),
        lifespan=life,
        docs_url=None,  # FastAPI's page loads its scripts from another host
        redoc_url=None,
    )
    problems.add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
