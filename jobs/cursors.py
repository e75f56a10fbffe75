"""The opaque cursor by which a client asks for the page after one that it has: JSON values, safe in an address."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any


def cursor_of(*values: object) -> str:
    """Of JSON values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *, count: int) -> Sequence[Any]:
    """So many values, of whatever kind. Raises ValueError for what `cursor_of` did not make of as many."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:
        raise ValueError("this cursor was not made here") from error
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("this cursor was not made here")
    return values
