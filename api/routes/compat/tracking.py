"""The one question that a page of before asks of MLflow's tracking server: how a metric of a run went."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from api.access import READ
from api.answers.as_sent import NEEDED
from api.answers.openapi import problems
from api.dependencies import ServicesDep
from api.errors import InvalidTrackingRequest, TrackingAway
from api.router import Router
from storage.registry.metric_histories import PATH, InvalidPageToken, MetricPoint, TrackingUnavailable

router = Router(tags=["old clients"], dependencies=[READ])

_NO_NUMBER = {math.inf: "Infinity", -math.inf: "-Infinity"}


# Needed, which MLflow's clients must be told in MLflow's way: so they are missed here, not by FastAPI.
_NEEDED = {"minLength": 1, **NEEDED}
RunId = Annotated[
    str | None, Query(max_length=100, json_schema_extra=_NEEDED, examples=["9d1d6201075647d088840506a93f7a3f"])
]
MetricKey = Annotated[str | None, Query(max_length=500, json_schema_extra=_NEEDED, examples=["val_loss"])]


class LoggedMetric(BaseModel):
    key: str = Field(examples=["val_loss"])
    value: float | str = Field(description="what is no number, as protobuf writes it: `NaN`", examples=[0.42])
    timestamp: int = Field(description="milliseconds since 1970", examples=[1_764_000_000_000])
    step: int = Field(examples=[3])


class MetricHistory(BaseModel):
    metrics: list[LoggedMetric]
    next_page_token: str | None = Field(None, description="only where there is more", examples=["eyJvZmZzZXQiOiAxMH0="])


@router.get(PATH, response_model_exclude_none=True, responses=problems(InvalidTrackingRequest, TrackingAway, 422))
def get_metric_history(
    services: ServicesDep,
    run_id: RunId = None,
    run_uuid: Annotated[str | None, Query(max_length=100, include_in_schema=False)] = None,  # the older name of it
    metric_key: MetricKey = None,
    max_results: Annotated[
        int | None,
        Query(ge=-(2**31), le=2**31 - 1, json_schema_extra={"minimum": 1}, description="all at once without it"),
    ] = None,
    page_token: Annotated[str | None, Query(max_length=200, description="`next_page_token` of the page before")] = None,
) -> MetricHistory:
    """As MLflow's REST API answers: all values in the order in which they were logged; none of a run nobody knows."""
    run = run_id or run_uuid
    if not run or not metric_key:
        raise InvalidTrackingRequest(f"Missing value for required parameter '{'metric_key' if run else 'run_id'}'.")
    if max_results is not None and max_results <= 0:
        raise InvalidTrackingRequest("Invalid value for parameter 'max_results': it must be a positive integer.")
    if "\0" in run + metric_key:  # databases cannot look for it
        return MetricHistory(metrics=[])
    try:
        page = services.adapters.histories.page(run, metric_key, limit=max_results, token=page_token)
    except InvalidPageToken as error:
        raise InvalidTrackingRequest(str(error)) from error
    except TrackingUnavailable as error:
        raise TrackingAway(str(error)) from error
    return MetricHistory(metrics=[_logged(point) for point in page.points], next_page_token=page.next_token)


def _logged(point: MetricPoint) -> LoggedMetric:
    value = "NaN" if math.isnan(point.value) else _NO_NUMBER.get(point.value, point.value)
    return LoggedMetric(key=point.key, value=value, timestamp=point.timestamp, step=point.step)
