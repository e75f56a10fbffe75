"""Parameters and forms in the OpenAPI document, as they are really sent: as text and files, and never as null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from segmentation.picture_files.picture_kinds import PICTURE_KINDS

FORM = "multipart/form-data"
NEEDED = {"x-needed": True}  # `json_schema_extra` of a parameter that a route misses itself, with an error of its own
_PICTURES = list(PICTURE_KINDS)
_PACKED = ["application/zip", "application/x-tar", "application/gzip"]


def describe_parameters(document: Mapping[str, Any]) -> None:
    """Completes every parameter of the document in place."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                _leave_out_null(parameter["schema"])
                if parameter["schema"].pop("x-needed", False):
                    parameter["required"] = True


def describe_forms(document: Mapping[str, Any]) -> None:
    """Completes every form of the document in place."""
    schemas = document["components"]["schemas"]
    for body in _forms(document):
        encoding = {}
        for choice in body["schema"].get("anyOf", [body["schema"]]):
            schema = schemas[choice["$ref"].rpartition("/")[2]]
            for field in schema["properties"].values():
                _leave_out_null(field)
            encoding.update({name: {"contentType": ", ".join(kinds)} for name, kinds in _files(schema)})
        body["encoding"] = encoding


def _forms(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {})
            if FORM in content:
                yield content[FORM]


def _leave_out_null(field: dict[str, Any]) -> None:
    choices = [each for each in field.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        del field["anyOf"]
        field.update(choices[0])
    elif choices:
        field["anyOf"] = choices
    if field.get("default", "") is None:
        del field["default"]
    if None in field.get("enum", ()):
        field["enum"] = [each for each in field["enum"] if each is not None]


def _files(schema: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The fields that take files, and of which types these are; what takes many takes bundles too."""
    for name, field in schema["properties"].items():
        if field.get("format") == "binary":
            yield name, _PICTURES
        elif field.get("items", {}).get("format") == "binary":
            yield name, [*_PICTURES, *_PACKED]
