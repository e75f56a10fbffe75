"""Every route says who may call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route

from api.access import ADMIN, OPEN, OPEN_PATHS, OPERATOR, READ, SUBMIT, Access, declared
from api.main import create_app


def routes(app: FastAPI) -> Iterator[BaseRoute]:
    """The whole table: our routers', and what was put into the application itself."""
    yield from app.state.routes
    yield from (route for route in app.routes if hasattr(route, "path"))


def test_every_route_declares_who_may_call_it() -> None:
    silent = [str(route) for route in routes(create_app(compat=True)) if declared(route) is None]
    assert [each for each in silent if not any(f"path='{path}'" in each for path in OPEN_PATHS)] == [], (
        "put dependencies=[READ] (or SUBMIT, ADMIN, OPEN of api.access) on each"
    )


def test_a_route_that_declares_nothing_is_found() -> None:
    app = create_app()
    app.router.routes.append(Route("/metrics", lambda request: None))
    assert [declared(route) for route in routes(app)].count(None) == 1 + len(OPEN_PATHS)


@pytest.mark.parametrize(
    ("path", "method", "scope"),
    [
        ("/jobs", "GET", "read"),
        ("/jobs", "POST", "submit"),
        ("/jobs/{job_id}", "DELETE", "submit"),
        ("/jobs/{job_id}/archive", "HEAD", "read"),
        ("/predict", "POST", "submit"),
        ("/limits", "GET", "read"),
        ("/webhook-secret", "GET", "admin"),
        ("/webhook", "PUT", "admin"),
        ("/webhooks/test", "POST", "admin"),
        ("/jobs/{job_id}/deliveries", "GET", "read"),
        ("/health", "GET", None),
        ("/ready", "GET", None),
        ("/docs", "GET", None),
        ("/", "GET", None),
        ("/predict/", "POST", "submit"),
        ("/list_images/", "GET", "read"),
        ("/predict_from_id/", "POST", "submit"),
    ],
)
def test_what_a_route_asks_for(path: str, method: str, scope: str | None) -> None:
    (found,) = [
        route
        for route in create_app(compat=True).state.routes
        if getattr(route, "path", "") == path and method in getattr(route, "methods", ())
    ]
    assert declared(found) == Access(scope)


def test_of_several_declarations_the_strictest_counts() -> None:
    router = APIRouter(dependencies=[READ])
    router.add_api_route("/a", lambda: None, dependencies=[ADMIN, SUBMIT, OPEN])
    router.add_api_route("/b", lambda: None)
    router.add_api_route("/c", lambda: None, dependencies=[OPERATOR])
    assert [declared(route) for route in router.routes] == [Access("admin"), Access("read"), Access("operator")]
