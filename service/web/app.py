"""The web service: its parts, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from service.client.access import access_by_files
from service.client.retries import retried
from service.errors import CommandError
from service.events.zones import TimeZones
from service.findings.choose import open_store
from service.web import documentation, health, models, refusals, reports
from service.web.feedback import routes as labels
from service.web.files import routes as files
from service.web.files.helper import FileHelper
from service.web.files.jobs import JobFolder
from service.web.files.keeper import Keeper
from service.web.files.queue import FileQueue
from service.web.flow import routes as flow
from service.web.guard import login
from service.web.guard.entrance import Entrance
from service.web.guard.sessions import Sessions
from service.web.judge import GatewayJudge
from service.web.oldpaths import routes
from service.web.oldpaths.aliases import Aliases
from service.web.oldpaths.places import read_places
from service.web.oldpaths.requests import RequestReader
from service.web.pages import routes as pages
from service.web.pages.atlas import Atlas
from service.web.pages.flow import routes as flow_pages
from service.web.pages.moved import MovedScores
from service.web.pages.templating import STATIC
from service.web.parts import Parts
from service.web.settings import WebSettings

ROUTERS = tuple(
    one.router
    for one in (health, routes, reports, files, login, documentation, models, flow, pages, flow_pages, labels)
)


def build_app(settings: WebSettings) -> FastAPI:
    """Return the service; its parts live from its start to its end.

    Raises:
        CommandError: the store or a file of the settings cannot be used.
    """
    access = access_by_files(settings.ca_file, settings.cert_file, settings.key_file, settings.token_file)
    aliases, zones = Aliases.read(settings.aliases), TimeZones(settings.time_zone)
    reader = RequestReader(aliases, zones, read_places(settings.locations))
    atlas = Atlas.at_hand(settings.model_repository, None)
    sessions = Sessions(settings.auth_keys, settings.session_key) if settings.auth_keys else None
    try:
        folders = JobFolder(settings.uploads)
    except BlockingIOError:
        raise CommandError(
            f"another process keeps its uploads in {settings.uploads}: give each a folder of its own with --uploads"
        ) from None
    except OSError as error:
        raise CommandError(f"cannot write uploads to {settings.uploads}: {error.strerror}; set --uploads") from None
    store = open_store(settings.store, max_bytes=settings.store_max_bytes, max_days=settings.store_max_days)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        channel = access.aio_channel(settings.target, [("grpc.max_receive_message_length", -1), *retried()])
        judge, queue = GatewayJudge(channel, access), FileQueue(folders)
        app.state.parts = Parts(settings, store, access, channel, judge, reader, queue, sessions)
        app.state.pages = pages.PageParts(atlas, MovedScores(judge))
        helper = FileHelper(settings)
        queue.start(Keeper(folders, helper, store, queue.changed).run)
        try:
            yield
        finally:
            await queue.stop()
            await helper.stop()
            await channel.close()
            store.close()

    app = FastAPI(
        title="EPC Sentinel",
        version=version(health.NAME),
        lifespan=life,
        docs_url=None,  # FastAPI's page loads its scripts from another host
        redoc_url=None,
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    refusals.add_handlers(app)
    app.add_middleware(Entrance, sessions=sessions, tls=settings.tls_cert is not None)
    for router in ROUTERS:
        app.include_router(router)
    return app
