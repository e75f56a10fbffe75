"""The values that runs logged over their steps, read from where MLflow keeps them, without MLflow itself.

A tracking server is asked over HTTP. Of a database one table is read, as MLflow lays it out, and nothing is written: to
open it with MLflow would make or migrate it. Of both come what MLflow's REST API says, page by page.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import BigInteger, Boolean, Column, Engine, Float, MetaData, String, Table, create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage.registry.mlflow_registry import SQLITE, sqlite_file

NONE = "none"  # as an address: nothing is tracked
PATH = "/api/2.0/mlflow/metrics/get-history"
_TIMEOUT_S = 5.0
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
# Source: MLflow 3, `mlflow/store/tracking/dbmodels/models.py`, SqlMetric; the same since MLflow 1.
_METRICS = Table(
    "metrics",
    MetaData(),
    Column("run_uuid", String(32)),
    Column("key", String(250)),
    Column("value", Float),
    Column("timestamp", BigInteger),
    Column("step", BigInteger),
    Column("is_nan", Boolean),
)


class TrackingUnavailable(Exception):
    """The store does not answer, or not in a way that is understood."""

    code = "tracking_unavailable"


class InvalidPageToken(Exception):
    """It is none that a page before gave out."""

    code = "bad_request"


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """timestamp: milliseconds since 1970. value may be NaN."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """next_token: of the next page; None on the last."""

    points: Sequence[MetricPoint]
    next_token: str | None = None


class MetricHistories(Protocol):
    def page(self, run_id: str, metric: str, *, limit: int | None, token: str | None) -> HistoryPage:
        """All values of one metric of a run, oldest first, or at most `limit` of them, from where `token` says.

        A run or a metric that nobody knows has none, as with MLflow. Raises InvalidPageToken, TrackingUnavailable.
        """
        ...


def open_histories(uri: str) -> MetricHistories:
    """uri: `http://host:port`, `sqlite:///path`, `postgresql://…`, or `none`. Nothing is opened before it is asked."""
    if uri.startswith(("http://", "https://")):
        return _ServerHistories(uri.rstrip("/"))
    return _NoHistories() if uri == NONE else _DatabaseHistories(uri)


class _NoHistories:
    def page(self, run_id: str, metric: str, *, limit: int | None, token: str | None) -> HistoryPage:
        return HistoryPage(())


@dataclass(frozen=True)
class _DatabaseHistories:
    uri: str

    def page(self, run_id: str, metric: str, *, limit: int | None, token: str | None) -> HistoryPage:
        offset = _offset(token)
        if self.uri.startswith(SQLITE) and not sqlite_file(self.uri).is_file():
            return HistoryPage(())  # nothing was ever tracked here; to connect would make the file
        query = (
            select(_METRICS)
            .where(_METRICS.c.run_uuid == run_id, _METRICS.c.key == metric)
            .order_by(_METRICS.c.timestamp, _METRICS.c.step, _METRICS.c.value)
            .offset(offset)
        )
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query if limit is None else query.limit(limit + 1)).all()
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise TrackingUnavailable(f"the tracking store does not answer ({type(error).__name__})") from error
        points = [MetricPoint(row.key, math.nan if row.is_nan else row.value, row.timestamp, row.step) for row in rows]
        if limit is None or len(points) <= limit:
            return HistoryPage(points)
        return HistoryPage(points[:limit], _token(offset + limit))

    @cached_property
    def _engine(self) -> Engine:
        """A connection for each question: there are few, and an idle one would hold the file."""
        if self.uri.startswith(SQLITE):
            file = Path(sqlite_file(self.uri)).absolute().as_uri()
            return create_engine(f"sqlite:///{file}?mode=ro&uri=true", poolclass=NullPool)
        scheme, separator, rest = self.uri.partition("://")
        return create_engine(_DRIVERS.get(scheme, scheme) + separator + rest, poolclass=NullPool)


@dataclass(frozen=True)
class _ServerHistories:
    address: str

    def page(self, run_id: str, metric: str, *, limit: int | None, token: str | None) -> HistoryPage:
        import httpx  # which nothing else of the API needs

        asked = {"run_id": run_id, "metric_key": metric, "max_results": limit, "page_token": token}
        query = {name: value for name, value in asked.items() if value is not None}
        try:
            answer = httpx.get(self.address + PATH, params=query, timeout=_TIMEOUT_S)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return HistoryPage(())
            if answer.status_code == httpx.codes.BAD_REQUEST and token is not None:
                raise InvalidPageToken("the tracking server does not know this page token")
            return _read(answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrackingUnavailable(f"the tracking server does not answer ({type(error).__name__})") from error


def _read(body: Any) -> HistoryPage:
    """protobuf's JSON: 64-bit numbers may be text, NaN and the infinities are."""
    points = [
        MetricPoint(str(each["key"]), float(each["value"]), int(each.get("timestamp", 0)), int(each.get("step", 0)))
        for each in body.get("metrics", ())
    ]
    return HistoryPage(points, body.get("next_page_token") or None)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"offset": offset}).encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True))["offset"]
    except (ValueError, KeyError, TypeError, RecursionError):  # UnicodeError and binascii.Error are ValueErrors
        offset = None
    if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset < 2**63:
        raise InvalidPageToken("the page token is none that this service gave out")
    return offset
