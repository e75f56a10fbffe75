"""Which answers lead where: links of the OpenAPI document, for readers and for programs that go from call to call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_JOB_ID = "$response.body#/id"
SAMPLE = "day-avenue-01"
_UPLOAD = "$response.body#/uploads/0/upload"
_ITEM = "$response.body#/items/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """From the answers of an operation to others. parameters: of those others → where their values are.

    to: operations; none: all that have these parameters in their path and no others. body: of the other's request.
    """

    origin: str
    statuses: tuple[str, ...] = ("200",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    body: Any = None


LEADS = (
    Lead(origin="submit_job", statuses=("200", "202"), parameters={"job_id": _JOB_ID}),
    Lead(origin="list_jobs", parameters={"job_id": f"{_ITEM}/id"}),
    Lead(origin="predict", parameters={"job_id": "$response.header.X-Job-Id"}),
    Lead(origin="predict", statuses=("202",), parameters={"job_id": _JOB_ID}),
    Lead(origin="list_images", parameters={"job_id": "$request.path.job_id", "index": f"{_ITEM}/index"}),
    Lead(
        origin="list_images",
        parameters={"job_id": "$request.path.job_id", "index": f"{_ITEM}/index", "artifact": "overlay"},
        to=("get_artifact",),
    ),
    Lead(origin="list_deliveries", parameters={"delivery_id": f"{_ITEM}/id"}),
    Lead(origin="list_models", parameters={"name": f"{_ITEM}/name"}, to=("get_model",)),
    Lead(
        origin="list_models",
        to=("submit_job",),
        body={"inputs": [{"sample": SAMPLE}], "model": f"{_ITEM}/name"},
    ),
    Lead(origin="list_label_spaces", parameters={"name": f"{_ITEM}/name"}, to=("get_one_label_space",)),
    Lead(origin="list_samples", parameters={"sample_id": f"{_ITEM}/id"}),
    Lead(origin="list_samples", to=("submit_job",), body={"inputs": [{"sample": f"{_ITEM}/id"}]}),
    Lead(origin="begin_uploads", statuses=("201",), parameters={"upload_id": _UPLOAD}, to=("get_upload",)),
    Lead(origin="list_gallery", parameters={"image_id": "$response.body#/ids/0"}),
)


def add_links(document: Mapping[str, Any]) -> None:
    """Those whose operations are there."""
    there = dict(_operations(document))
    for lead in LEADS:
        if lead.origin not in there:
            continue
        operation = there[lead.origin]
        for name in _targets(lead, there):
            link: dict[str, Any] = {"operationId": name}
            if lead.parameters:
                link["parameters"] = dict(lead.parameters)
            if lead.body is not None:
                link["requestBody"] = lead.body
            for status in lead.statuses:
                operation["responses"][status].setdefault("links", {})[name] = link


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            yield operation["operationId"], operation


def _targets(lead: Lead, there: Mapping[str, Any]) -> list[str]:
    if lead.to:
        return [name for name in lead.to if name in there]
    return [name for name, operation in there.items() if _path_parameters(operation) == set(lead.parameters)]


def _path_parameters(operation: Any) -> set[str]:
    return {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
