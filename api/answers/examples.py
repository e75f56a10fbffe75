"""Examples in the OpenAPI document: put together from what shapes and fields say of themselves, so that they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

JSON = "application/json"
_MADE = (JSON, "multipart/form-data")
_TEXTS: Mapping[str, str] = {
    "date-time": "2026-11-21T08:00:00Z",
    "uri": "https://example.org/",
    "binary": "…the bytes of a file…",
}


def add_examples(document: Mapping[str, Any]) -> list[str]:
    """To every body that is JSON or a form, and has none. Returns the texts whose fields name no example."""
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        _put_nulls_back(schema.get("example"), schema, schemas)
    maker = _Maker(schemas)
    for where, media_type, content in _bodies(document):
        schema = content.get("schema", {"format": "binary"})
        if media_type in _MADE and schema.get("format") != "binary" and not content.keys() & {"example", "examples"}:
            content["example"] = maker.of(schema, where)
    return maker.missing


def _bodies(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in (*document["paths"].items(), *document.get("webhooks", {}).items()):
        for method, operation in operations.items():
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                for media_type, content in body.get("content", {}).items():
                    yield f"{method} {path}", media_type, content


def _put_nulls_back(example: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """FastAPI takes every null out of the document, also those that an example needs."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for choice in schema.get("anyOf", ()):
        _put_nulls_back(example, choice, schemas)
    if isinstance(example, list):
        for each in example:
            _put_nulls_back(each, schema.get("items", {}), schemas)
    if isinstance(example, dict):
        for name, field in schema.get("properties", {}).items():
            if name in example:
                _put_nulls_back(example[name], field, schemas)
            elif name in schema.get("required", ()) and {"type": "null"} in field.get("anyOf", ()):
                example[name] = None


class _Maker:
    """Values of schemas. schemas: those that references lead to. missing: where a text has no example."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.missing: list[str] = []
        self._schemas = schemas

    def of(self, schema: Mapping[str, Any], where: str) -> Any:
        """What it names as an example or a default; else made from its parts. where: for `missing`."""
        said = _said(schema)
        if said:
            return said[0]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self.of(self._schemas[name], f"{where} {name}")
        for choice in ("anyOf", "oneOf"):
            if choice in schema and "type" not in schema:
                return self.of(schema[choice][0], where)
        return self._of_type(schema, where)

    def _of_type(self, schema: Mapping[str, Any], where: str) -> Any:
        kind = schema.get("type")
        if kind == "object":
            return self._of_object(schema, where)
        if kind == "array":
            items = schema.get("prefixItems") or [schema["items"]]
            return [self.of(each, f"{where}[]") for each in items]
        if kind == "string":
            return self._text(schema, where)
        numbers = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 0.5)}
        return numbers.get(str(kind), True)

    def _text(self, schema: Mapping[str, Any], where: str) -> str:
        if schema.get("format") not in _TEXTS:
            self.missing.append(where)
        return _TEXTS.get(schema.get("format", ""), "text")

    def _of_object(self, schema: Mapping[str, Any], where: str) -> Any:
        found = {
            name: self.of(field, f"{where}.{name}")
            for name, field in schema.get("properties", {}).items()
            if field.get("default", "") is not None  # what is mostly left out
        }
        more = schema.get("additionalProperties")
        if not found and isinstance(more, Mapping):
            found["name"] = self.of(more, f"{where}.*")
        return found


def _said(schema: Mapping[str, Any]) -> list[Any]:
    found = [schema[name] for name in ("example", "const", "default") if name in schema]
    return [*schema.get("examples", ())[:1], *found, *schema.get("enum", ())[:1]]
