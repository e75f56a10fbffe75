"""Errors as `application/problem+json` (RFC 9457). Which status an error has is `errors.py`'s business."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api.edge.gate import rate_headers
from api.errors import (
    RETRY_AFTER_OF_CODE_S,
    RETRY_AFTER_S,
    ROUTER_CODES,
    Forbidden,
    NotReady,
    PredictionFailed,
    RangeNotSatisfiable,
    RequestTimeout,
    TrackingFault,
    Unauthorized,
    families,
    status_of,
)
from api.schemas.problem import FieldProblem, Problem, TrackingProblem
from jobs.errors import InvalidOptions, OverLimit

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:maskmill:error:"
_CLIENT_GONE = 499
_CHALLENGE = 'Bearer realm="maskmill"'
_TEXT_LENGTH = 2000  # a message may quote what a client sent

logger = logging.getLogger(__name__)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    retry_after_s = RETRY_AFTER_OF_CODE_S.get(problem.code, RETRY_AFTER_S.get(problem.status))
    extra = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    text = json.dumps(problem.model_dump(exclude_none=True), ensure_ascii=False)
    body = text.encode("utf-8", "replace")  # what a client sent may hold half a surrogate pair
    return Response(body, problem.status, headers={**extra, **(headers or {})}, media_type=MEDIA_TYPE)


def unexpected(request_id: str) -> Problem:
    return _problem(500, "internal_error", "something went wrong here; the request id tells which log line", request_id)


def add_error_handlers(app: FastAPI) -> None:
    for family in families():
        app.add_exception_handler(family, _own_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _router_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)


def _own_error(request: Request, error: Exception) -> Response:
    return error_response(error, request.state.request_id)


def error_response(error: Exception, request_id: str) -> Response:
    """One of the families that `errors.py` knows."""
    status = status_of(error)
    if status == 500 and not isinstance(error, PredictionFailed):  # whose words are those of the image's row
        logger.error("request failed", exc_info=error, extra={"action": "request_failed", "request_id": request_id})
        return problem_response(unexpected(request_id))
    code = str(getattr(error, "code", "internal_error"))
    problem = _problem(status, code, str(error), request_id)
    headers: dict[str, str] = {}
    headers |= _headers_of_refusal(error)
    if isinstance(error, InvalidOptions):
        problem.errors = [_field_problem(fault.field, fault.message) for fault in error.faults]
    if isinstance(error, NotReady):
        problem.errors = [_field_problem(part, reason) for part, reason in error.missing.items()]
    if isinstance(error, RequestTimeout):
        headers["Connection"] = "close"  # or the rest of the body would be waited for after all
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.length}"
    if isinstance(error, PredictionFailed):
        headers["X-Job-Id"] = error.job_id
    if isinstance(error, TrackingFault):
        problem = TrackingProblem(**dict(problem), error_code=error.mlflow_code, message=str(error))
    return problem_response(problem, headers)


def _headers_of_refusal(error: Exception) -> Mapping[str, str]:
    """RFC 9110, 11.6.1, and RFC 6750, 3."""
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": _CHALLENGE + (', error="invalid_token"' if error.is_wrong else "")}
    if isinstance(error, Forbidden):
        return {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'}
    if isinstance(error, OverLimit):
        return {"Retry-After": str(error.standing.retry_after_s), **rate_headers(error.standing)}
    return {}


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        _field_problem(".".join(str(part) for part in fault["loc"][1:]), fault["msg"].removeprefix("Value error, "))
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    problem = _problem(422, InvalidOptions.code, detail, request.state.request_id)
    problem.errors = faults
    return problem_response(problem)


def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = ROUTER_CODES.get(error.status_code, "bad_request")
    problem = _problem(error.status_code, code, str(error.detail), request.state.request_id)
    if error.status_code == 405:
        return problem_response(problem, {**(error.headers or {}), "Allow": ", ".join(_allowed(request))})
    return problem_response(problem, error.headers)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes with this path; the router names those of the first alone."""
    fitting = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in fitting for method in getattr(route, "methods", None) or ()})


def _client_gone(request: Request, _error: Exception) -> Response:
    logger.info("client went away", extra={"action": "client_gone", "request_id": request.state.request_id})
    return Response(status_code=_CLIENT_GONE)  # nobody reads it


def _problem(status: int, code: str, detail: str, request_id: str) -> Problem:
    title = code.replace("_", " ").capitalize() if code else HTTPStatus(status).phrase
    return Problem(
        type=_TYPE_PREFIX + code,
        title=title,
        status=status,
        detail=detail[:_TEXT_LENGTH],
        code=code,
        request_id=request_id,
    )


def example_problem(status: int, code: str) -> dict[str, object]:
    """What an error with this code looks like, for the OpenAPI document."""
    problem = _problem(status, code, code.replace("_", " "), "7f6c1a5e0b0f4c0e8a4d5c3b2a190807")
    return problem.model_dump(exclude_none=True)


def _field_problem(field: str, message: str) -> FieldProblem:
    return FieldProblem(field=field[:_TEXT_LENGTH], message=message[:_TEXT_LENGTH])
