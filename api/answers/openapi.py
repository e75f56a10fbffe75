"""What FastAPI cannot see by itself: bodies that are read as streams, and one shape for every error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.access import declared
from api.answers.as_sent import describe_forms, describe_parameters
from api.answers.examples import add_examples
from api.answers.links import add_links
from api.answers.problems import MEDIA_TYPE, example_problem
from api.errors import Stopping, UploadsBusy, status_of_kind
from api.schemas.problem import Problem

_REF = "#/components/schemas/"
_FORMS: dict[str, type[BaseModel]] = {"Problem": Problem}  # that no route names as a type: bodies read as streams

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key `mm_…`; where there is no key, none is asked"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same key"},
}

_MEANINGS = {
    400: "the request cannot be understood (`bad_request`, `archive_unreadable`, `no_images`)",
    401: "no key, or one that is not known, or not any more",
    403: "the caller may not do this (`forbidden`: the key does not allow it; `cross_site_request`: a page of another "
    "site asked for it)",
    404: "nothing is there, or nothing that the caller may see",
    406: "no answer in a form that the client takes",
    408: "the body stopped coming",
    409: "not now: what it is about is in another state",
    413: "more bytes or images than allowed (`too_large`, `too_many_images`)",
    415: "neither form of request, or a file that is no image and no archive",
    416: "the range begins behind the end",
    421: "the service does not know itself by the name in `Host`",
    422: "a field is wrong; `errors` names it",
    429: "more than the key may ask for (`rate_limited`, `quota_exceeded`); `Retry-After` tells when to come again",
    500: "an error of ours, or of the model",
    502: "a picture could not be fetched",
    503: "a part of the service is away; the same request may be sent again",
    504: "the picture took longer than allowed",
}


# The codes of a status where a route names no errors itself.
_USUAL: Mapping[int, Sequence[str]] = {
    400: ("bad_request",),
    401: ("unauthorized",),
    403: ("forbidden", "cross_site_request"),
    404: ("not_found",),
    406: ("not_acceptable",),
    408: ("request_timeout",),
    409: ("not_allowed",),
    413: ("too_large",),
    415: ("unsupported_media_type",),
    416: ("range_not_satisfiable",),
    421: ("unknown_host",),
    422: ("invalid_options",),
    429: ("rate_limited", "quota_exceeded"),
    500: ("internal_error",),
    502: ("download_failed",),
    503: ("database_unavailable", "storage_unavailable"),
    504: ("timed_out",),
}


def problems(*answers: int | type[Exception]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that may answer with these errors, by status or, where a code says more, by class.

    Any may also fail with 500 and 503. One that reads a body (408) needs a place for it.
    """
    codes: dict[int, list[str]] = {}
    for answer in (*answers, 500, 503):
        if isinstance(answer, int):
            codes.setdefault(answer, [])
        else:
            codes.setdefault(status_of_kind(answer), []).append(vars(answer)["code"])
    if 408 in codes:
        codes[503] += [UploadsBusy.code, Stopping.code]
    for status, found in codes.items():
        if not found or status >= 500:
            found[:0] = _USUAL[status]
    return {status: _problem(status, found) for status, found in sorted(codes.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    examples = {code: {"value": example_problem(status, code)} for code in codes}
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}, "examples": examples}}
    return {"description": _MEANINGS[status], "content": content}


def binary(*media_types: str) -> dict[str, Any]:
    """`content` of an answer that is a file."""
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}


def refer(shape: type[BaseModel]) -> dict[str, str]:
    """A reference to a shape that FastAPI does not know of."""
    _FORMS[shape.__name__] = shape
    return {"$ref": _REF + shape.__name__}


def body(**forms: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body itself: `multipart=…`, `json=…`."""
    media_types = {"multipart": "multipart/form-data", "json": "application/json"}
    content = {media_types[kind]: {"schema": refer(form)} for kind, form in forms.items()}
    return {"requestBody": {"required": True, "content": content}}


def describe(app: FastAPI, more: Sequence[Callable[[dict[str, Any]], None]] = ()) -> Mapping[str, Any]:
    """The OpenAPI document, made once. more: adds to what FastAPI knows."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        for add in more:
            add(document)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(_forms_in(document))
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        _replace_fastapi_errors(document)
        _tell_of_keys(app, document)
        describe_parameters(document)
        describe_forms(document)
        add_examples(document)
        add_links(document)
        app.openapi_schema = document
    return app.openapi_schema


def _forms_in(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schemas of bodies that routes read themselves, of the routes that there are."""
    text = json.dumps([document["paths"], document.get("webhooks")])
    named: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (form, "validation") for name, form in _FORMS.items() if f'"{_REF}{name}"' in text
    ]
    _, definitions = models_json_schema(named, ref_template=_REF + "{model}")
    return dict(definitions["$defs"])


def _tell_of_keys(app: FastAPI, document: dict[str, Any]) -> None:
    """What a route declares of who may call it, as security requirements and the answers that come with them."""
    document["components"]["securitySchemes"] = _SCHEMES
    for route in app.state.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        access = declared(route)
        scope = None if access is None else access.scope
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["security"] = [] if scope is None else [{name: []} for name in _SCHEMES]
            if scope is not None:
                operation["x-scope"] = scope
                answers = {str(status): answer for status, answer in problems(401, 403, 429).items()}
                operation["responses"] = {**answers, **operation["responses"]}


def _replace_fastapi_errors(document: Mapping[str, Any]) -> None:
    """FastAPI describes its own 422 where a route has parameters; ours has another shape."""
    for path in document["paths"].values():
        for operation in path.values():
            found = operation["responses"].get("422")
            if found is not None and MEDIA_TYPE not in found.get("content", {}):
                operation["responses"]["422"] = problems(422)[422]
