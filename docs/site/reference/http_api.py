"""Every route of the service, as its OpenAPI document has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.site.reference.markdown import code, prose, table

Node = Mapping[str, Any]


def page() -> str:
    from api.main import create_app

    document: Node = create_app(compat=True).openapi()
    tags = [each["name"] for each in document["tags"]]
    return "\n".join(
        ["# HTTP API", "", _OPENING, "", *(line for tag in tags for line in _tag(document, tag)), *_shapes(document)]
    )


_OPENING = """Made from the service's OpenAPI document, which a running service shows at `/openapi.json` and, to try it,
at `/docs`. What clients may rely on, rule by rule: [the HTTP API](../api.md). `old clients` are there when
`MASKMILL_API_COMPAT` is true."""


def _tag(document: Node, tag: str) -> Iterator[str]:
    about = next(each.get("description", "") for each in document["tags"] if each["name"] == tag)
    yield from (f"## {tag[:1].upper()}{tag[1:]}", "", f"{prose(about)}.", "")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", ()):
                yield from _operation(f"{method.upper()} {path}", operation)


def _operation(title: str, operation: Node) -> Iterator[str]:
    yield from (
        f"### `{title}`",
        "",
        prose(operation.get("summary", "")),
        "",
        prose(operation.get("description", "")),
        "",
    )
    yield table(("parameter", "in", "type", "meaning"), (_parameter(each) for each in operation.get("parameters", ())))
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body, `{media}`: {_type(body.get('schema', {}))}", "")
    yield table(("answer", "meaning", "body"), (_answer(*each) for each in operation["responses"].items()))


def _parameter(each: Node) -> tuple[str, ...]:
    schema = each.get("schema", {})
    meaning = prose(each.get("description") or schema.get("description") or "")
    return code(each["name"]), each["in"], _type(schema), meaning + _default(schema)


def _default(schema: Node) -> str:
    return f" (default `{schema['default']}`)" if schema.get("default") not in (None, "", [], {}) else ""


def _answer(status: str, answer: Node) -> tuple[str, ...]:
    bodies = (f"`{media}`: {_type(each.get('schema', {}))}" for media, each in answer.get("content", {}).items())
    return status, prose(answer.get("description", "")), "; ".join(bodies)


def _type(schema: Node) -> str:
    """A schema in a few words; those with a name lead to their table."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(code(each) for each in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    kind = schema.get("type", "any")
    return f"list of {_type(schema.get('items', {}))}" if kind == "array" else str(kind)


def _shapes(document: Node) -> Iterator[str]:
    yield from ("## Shapes", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from (f"### {name}", "", prose(schema.get("description", "")), "")
        if "properties" not in schema:
            yield from (_type(schema), "")
        needed = schema.get("required", ())
        fields = schema.get("properties", {}).items()
        yield table(("field", "type", "meaning"), (_field(key, each, key in needed) for key, each in fields))


def _field(name: str, schema: Node, needed: bool) -> tuple[str, ...]:
    return (
        code(name) + ("" if needed else " *(optional)*"),
        _type(schema),
        prose(schema.get("description", "")) + _default(schema),
    )
