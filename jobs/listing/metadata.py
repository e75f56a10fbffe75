"""A job's metadata: the caller's own JSON object, stored, sent back as it came, and looked for in lists."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

METADATA_BYTES = 4096
METADATA_LEVELS = 32
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def metadata_fault(value: Mapping[str, Any]) -> str | None:
    """What keeps a JSON object from being stored and sent back as it came; None when nothing does."""
    if _is_deeper(value, METADATA_LEVELS):
        return f"must not be nested deeper than {METADATA_LEVELS} levels"
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except ValueError:  # not a number, infinite, or half a surrogate pair: Python's JSON, but nobody else's
        return "must hold nothing but what JSON can say in UTF-8"
    if size > METADATA_BYTES:
        return f"must be at most {METADATA_BYTES} bytes as JSON"
    if _ESCAPED_NUL.search(text):
        return "must not hold the character NUL, which databases cannot keep"
    return None


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(each, levels - 1) for each in inner)
