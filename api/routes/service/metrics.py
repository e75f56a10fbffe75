"""How the service is, for Prometheus. docs/watching.md says what each name means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from fastapi import Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import choose_encoder

from api.access import OPERATOR_SCOPE, Access
from api.answers.openapi import problems
from api.dependencies import ServicesDep
from api.metrics import ApiMetrics
from api.router import Router
from api.routes.service.health import checks
from jobs.errors import DatabaseUnavailable
from jobs.watching.backlog import read_backlog, read_owed

router = Router(tags=["service"])


class _WhileItCanBeAsked(Access):
    """Who watches must see that the database is away, which is where keys are looked up. Then nobody's numbers are told
    but those of requests and parts."""

    async def __call__(self, request: Request) -> None:
        """As `Access`, without DatabaseUnavailable."""
        try:
            await super().__call__(request)
        except DatabaseUnavailable:
            request.state.nobody_was_asked = True


WATCHER = Depends(_WhileItCanBeAsked(OPERATOR_SCOPE))


_TEXT = {"schema": {"type": "string"}, "example": 'maskmill_queue_images{queue="bulk",tenant="default"} 12.0\n'}


@router.get(
    "/metrics",
    dependencies=[WATCHER],
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}}, **problems()},
)
async def get_metrics(request: Request, services: ServicesDep) -> Response:
    """In Prometheus's text format, or OpenMetrics where `Accept` asks for it.

    Numbers of all tenants: with keys in the database it takes an `admin` key of the tenant `default`.
    """
    metrics = cast(ApiMetrics, request.app.state.metrics)
    owed = partial(read_owed, services.adapters.open_unit)
    backlog = partial(read_backlog, services.adapters.open_unit)
    asked: dict[str, Callable[[], object]] = {**checks(services), "backlog": backlog, "webhooks": owed}
    await metrics.refresh(lambda: services.readiness.ask(asked))
    if getattr(request.state, "nobody_was_asked", False):
        metrics.forget_tenants()  # the database may be back by now
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(metrics.registry), media_type=media_type)
