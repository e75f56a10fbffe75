"""Every metric that a process declares, with its help text and labels."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.site.reference.markdown import code, prose, table

ROOT = Path(__file__).resolve().parents[3]
WHERE = {"The API": "api/metrics.py", "Workers and webhooks": "worker/metrics.py"}
KINDS = {"counter": "counter", "histogram": "histogram", "gauge": "gauge", "gaugemetricfamily": "gauge"}
_OPENING = "What each process tells at `GET /metrics`; how to read it, and the alerts: [watching](../watching.md)."


def page() -> str:
    lines = ["# Metrics", "", _OPENING, ""]
    for title, path in WHERE.items():
        rows = sorted(set(_declared(ROOT / path)))
        lines += [f"## {title}", "", table(("metric", "kind", "labels", "meaning"), rows)]
    return "\n".join(lines)


def _declared(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Calls whose first two arguments are a name and a sentence."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        kind = KINDS.get(ast.unparse(node.func).lower().rpartition(".")[2])
        texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if kind is not None and len(texts) >= 2:
            name = texts[0] if texts[0].startswith("maskmill_") else f"maskmill_{texts[0]}"
            yield code(name), kind, ", ".join(code(each) for each in (*texts[2:], *_listed(node))), prose(texts[1])


def _listed(call: ast.Call) -> Iterator[str]:
    """Labels that are given as a list."""
    for each in [*call.args, *(word.value for word in call.keywords)]:
        if isinstance(each, ast.List):
            yield from (str(item.value) for item in each.elts if isinstance(item, ast.Constant))
