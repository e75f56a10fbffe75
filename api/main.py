"""The HTTP service as an application; `python -m api` serves it. Nothing is opened before the server starts."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

from fastapi import FastAPI

from api.answers import docs, home
from api.answers.openapi import describe
from api.answers.problems import add_error_handlers
from api.edge.guards import Guards
from api.edge.request_id import RequestIds
from api.edge.request_watch import RequestWatch
from api.edge.stopping import noticed_stop, wait_for_given_up
from api.metrics import ApiMetrics
from api.routes import ROUTERS, webhooks
from api.routes.compat import COMPAT_ROUTERS, comparison
from api.services import Services, open_services
from api.settings import ApiSettings
from telemetry.version import version

_OBJECTS_BETWEEN_COLLECTIONS = 20_000
_SWITCH_S = 0.0005  # a thread whose query was answered waits so long for one that computes; Python's own is 0.005

OpenServices = Callable[[], AbstractContextManager[Services]]

_TAGS = [
    {"name": "jobs", "description": "Batches of pictures: submit, watch, take the results, change"},
    {"name": "images", "description": "The images of a job and their artifacts"},
    {"name": "events", "description": "Live streams of what happens to jobs"},
    {"name": "predict", "description": "One picture, at once"},
    {"name": "uploads", "description": "Files that go straight to the store, before the job that uses them"},
    {"name": "webhooks", "description": "Being told by HTTP what happens to jobs"},
    {"name": "keys", "description": "Who may call, and how much"},
    {"name": "catalogue", "description": "Models, label spaces, samples"},
    {"name": "service", "description": "Health, limits and metrics"},
]
_COMPAT_TAGS = [{"name": "old clients", "description": "As programs call it that were written for other services"}]


class _App(FastAPI):
    def openapi(self) -> dict[str, object]:
        return dict(describe(self, [webhooks.describe, *([comparison.describe] if self.state.is_compatible else [])]))


def create_app(open_with: OpenServices = open_services, *, compat: bool | None = None) -> FastAPI:
    """open_with: gives the services for as long as the server runs; tests give their own.

    compat: whether there are the routes of before too; None: as the settings say.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A job of a hundred thousand images is as many objects at once, and none of them in a cycle: with Python's
        # own 700, a third of the time goes into looking.
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        sys.setswitchinterval(_SWITCH_S)
        with open_with() as services, noticed_stop() as stopping:
            app.state.services, app.state.stopping = services, stopping
            watching = asyncio.create_task(services.watch.run(stopping.is_set))
            listening = asyncio.create_task(services.adapters.listen(services.watch.hint))
            gc.freeze()  # what was imported and built stays
            gc.enable()
            try:
                yield
            finally:
                await wait_for_given_up(app.state.requests)
                watching.cancel()
                listening.cancel()
                await asyncio.wait([watching, listening])

    is_compatible = ApiSettings().compat if compat is None else compat
    app = _App(
        title="Maskmill",
        version=version(),
        description="Batches of street images in; masks, metrics and archives out.",
        lifespan=lifespan,
        openapi_tags=[*_TAGS, *(_COMPAT_TAGS if is_compatible else ())],
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    routers = (docs.router, home.router, *ROUTERS, *(COMPAT_ROUTERS if is_compatible else ()))
    app.state.routes = [route for router in routers for route in router.routes]
    # As they are: to include a router makes its routes again, and each request asks one router after the other.
    app.router.routes.extend(app.state.routes)
    app.state.is_compatible, app.state.requests = is_compatible, set()
    add_error_handlers(app)
    app.add_middleware(Guards)
    app.add_middleware(RequestIds)
    app.state.metrics = ApiMetrics()
    app.add_middleware(RequestWatch, metrics=app.state.metrics)
    return app
