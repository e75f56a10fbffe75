"""Text of exports: JSON in pieces, and JSON that comes back."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from segmentation.errors import UnreadableExport
from segmentation.exports.export import ARCHIVED, LARGEST_DOCUMENT


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """With commas between them."""
    for count, piece in enumerate(pieces):
        yield b"," + piece if count else piece


def is_outermost(path: str) -> bool:
    """Whether it is a JSON file in no folder, as tools write what they export, and none of a job's archive."""
    return "/" not in path and path.endswith(".json") and path not in ARCHIVED


def loaded(data: bytes, name: str) -> Any:
    """Raises UnreadableExport."""
    if len(data) > LARGEST_DOCUMENT:
        raise UnreadableExport(f"{name} is longer than {LARGEST_DOCUMENT} bytes; send it in parts")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableExport(f"{name} is no JSON: {error}") from error
